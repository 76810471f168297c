#include "telemetry/log.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>
#include <unistd.h>
#include <vector>

namespace txstream::log {
namespace {

constexpr std::int64_t kTime = 1'764'000'001'002'003'004;

std::string line(Format format, std::string_view message, Fields fields = {}) {
    return format_line(
        format, kTime, Level::info, "relay", message, {fields.begin(), fields.size()}
    );
}

TEST(LogFormatTest, JsonHasTheKeysOfTheContractInOrder) {
    EXPECT_EQ(
        line(Format::json, "lanes claimed", {{"lanes", 32}, {"owner", std::string("a")}}),
        R"({"time":"2025-11-24T16:00:01.002003004Z","level":"info","msg":"lanes claimed",)"
        R"("component":"relay","lanes":32,"owner":"a"})"
    );
}

TEST(LogFormatTest, EachKindOfValueKeepsItsJsonType) {
    EXPECT_EQ(
        line(
            Format::json,
            "m",
            {{"i", std::int64_t{-1}},
             {"u", std::numeric_limits<std::uint64_t>::max()},
             {"d", 0.25},
             {"nan", std::numeric_limits<double>::quiet_NaN()},
             {"b", true},
             {"s", "x"},
             {"n", nullptr}}
        ).substr(66),
        R"("component":"relay","i":-1,"u":18446744073709551615,"d":0.25,"nan":null,"b":true,)"
        R"("s":"x","n":null})"
    );
}

TEST(LogFormatTest, NothingInAValueCanBreakTheLine) {
    const std::string text = line(
        Format::json,
        "a\"b\\c\nd\re\tf",
        {{"e", std::string_view("\x01\x7f\0", 3)}, {"o", "S\xC3\xA3o \xF0\x9F\x98\x80"}}
    );
    EXPECT_NE(text.find(R"("msg":"a\"b\\c\nd\re\tf")"), std::string::npos) << text;
    EXPECT_NE(text.find(R"("e":"\u0001\u007f\u0000")"), std::string::npos) << text;
    EXPECT_NE(text.find("\"o\":\"S\xC3\xA3o \xF0\x9F\x98\x80\""), std::string::npos) << text;
}

TEST(LogFormatTest, BytesThatAreNotUtf8AreReplaced) {
    for (const std::string bad :
         {"\xFF", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xC3"}) {
        const std::string text = line(Format::json, "x" + bad + "y");
        EXPECT_NE(text.find("x\xEF\xBF\xBD"), std::string::npos) << text;
        EXPECT_EQ(text.find(bad + "y"), std::string::npos) << text;
    }
}

TEST(LogFormatTest, TextQuotesOnlyWhatNeedsIt) {
    EXPECT_EQ(
        line(Format::text, "two\nlines", {{"lanes", 3}, {"why", "lease ended"}, {"who", "a/1"}}),
        "2025-11-24T16:00:01.002Z INFO  relay: two\\nlines lanes=3 why=\"lease ended\" who=a/1"
    );
}

TEST(LogFormatTest, TimesBeforeTheEpochAreStillTimes) {
    EXPECT_EQ(
        format_line(Format::json, -1, Level::info, "c", "m", {}).substr(0, 40),
        R"({"time":"1969-12-31T23:59:59.999999999Z")"
    );
}

class LogFileTest : public testing::Test {
protected:
    void TearDown() override {
        ASSERT_TRUE(setup({}));
        std::filesystem::remove(path_);
    }
    std::vector<std::string> lines() const {
        std::ifstream file(path_);
        std::vector<std::string> found;
        for (std::string text; std::getline(file, text);) found.push_back(text);
        return found;
    }
    std::filesystem::path path_ =
        std::filesystem::temp_directory_path() / ("txstream-log-test-" + std::to_string(getpid()));
};

TEST_F(LogFileTest, LinesBelowTheLevelAreNeitherWrittenNorCounted) {
    ASSERT_TRUE(setup({.level = Level::warn, .output_path = path_.string()}));
    const auto before = count(Level::info);
    info("test", "quiet");
    error("test", "loud");
    EXPECT_EQ(lines().size(), 1U);
    EXPECT_EQ(count(Level::info), before);
    EXPECT_FALSE(enabled(Level::info));
}

TEST_F(LogFileTest, LinesOfManyThreadsStayWhole) {
    ASSERT_TRUE(setup({.format = Format::json, .output_path = path_.string()}));
    const std::string filler(3000, 'x');
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&filler] {
            for (int i = 0; i < 50; ++i) info("test", filler, {{"i", i}});
        });
    }
    for (std::thread& thread : threads) thread.join();
    const auto found = lines();
    ASSERT_EQ(found.size(), 200U);
    for (const std::string& text : found) {
        ASSERT_EQ(text.front(), '{');
        ASSERT_EQ(text.back(), '}');
        ASSERT_NE(text.find("\"msg\":\"" + filler + "\""), std::string::npos);
    }
}

TEST_F(LogFileTest, AFileThatCannotBeOpenedIsAnErrorThatNamesIt) {
    const auto result = setup({.output_path = "/nonexistent/dir/x.log"});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), Code::invalid_input);
    EXPECT_NE(result.error().what().find("/nonexistent/dir/x.log"), std::string::npos);
}

TEST(LogNamesTest, EachNameLeadsBackToItsLevel) {
    for (std::size_t i = 0; i < kLevels; ++i) {
        const auto level = static_cast<Level>(i);
        EXPECT_EQ(level_from(to_string(level)), level);
    }
    EXPECT_FALSE(level_from("verbose"));
    EXPECT_EQ(format_from("auto"), Format::automatic);
    EXPECT_FALSE(format_from("xml"));
}

}  // namespace
}  // namespace txstream::log
