#include "telemetry/log.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>
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

TEST(LogFormatTest, ATextIsCutBetweenTwoCharacters) {
    std::string umlauts = "x";
    for (int i = 0; i < 20'000; ++i) umlauts += "\xC3\xA4";
    for (const auto format : {Format::json, Format::text}) {
        const std::string text = line(format, "m", {{"e", umlauts}, {"next", 1}});
        EXPECT_LT(text.size(), 9000U);
        EXPECT_NE(text.find("\xC3\xA4...\""), std::string::npos) << text.substr(text.size() - 60);
        EXPECT_NE(text.find("next"), std::string::npos);
    }
    EXPECT_LT(line(Format::text, "m", {{"e", std::string(20'000, 'x')}}).size(), 9000U);
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
    ASSERT_TRUE(setup({.level = Level::debug, .format = Format::json, .output_path = path_.string()}
    ));
    const std::string filler(3000, 'x');
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&filler] {
            for (int i = 0; i < 50; ++i) debug("test", filler, {{"i", i}});
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

TEST_F(LogFileTest, RepeatedLinesAreCountedAndTheCountIsWritten) {
    ASSERT_TRUE(setup({.format = Format::json, .output_path = path_.string()}));
    const auto before = repeat_count(Level::error);
    for (int i = 0; i < 1000; ++i) error("test", "it happens", {{"i", i}, {"error_type", "e"}});
    EXPECT_EQ(lines().size(), 3U);
    EXPECT_EQ(repeat_count(Level::error), before + 997);
    error("test", "it happens", {{"error_type", "another"}});
    EXPECT_EQ(lines().size(), 4U);
    flush();
    const auto found = lines();
    ASSERT_EQ(found.size(), 5U);
    EXPECT_NE(found[4].find(R"("msg":"it happens","component":"test","i":3,)"), std::string::npos)
        << found[4];
    EXPECT_NE(found[4].find(R"("repeats":997,"repeats_ms":)"), std::string::npos) << found[4];
    EXPECT_EQ(found[4].back(), '}');
}

TEST_F(LogFileTest, AfterARotationLinesGoToTheNewFile) {
    ASSERT_TRUE(setup({.output_path = path_.string()}));
    warn("test", "before the rotation");
    const auto old = path_.string() + ".1";
    std::filesystem::rename(path_, old);
    warn("test", "between");
    reopen();
    warn("test", "after the rotation");
    const auto found = lines();
    ASSERT_EQ(found.size(), 2U);
    EXPECT_NE(found[0].find("opened the log file again"), std::string::npos);
    EXPECT_NE(found[1].find("after the rotation"), std::string::npos);
    std::filesystem::remove(old);
}

TEST_F(LogFileTest, AFileThatCannotBeOpenedAgainLeavesTheOldOneInUse) {
    const auto directory = path_.string() + ".d";
    std::filesystem::create_directory(directory);
    const auto file = directory + "/log";
    ASSERT_TRUE(setup({.output_path = file}));
    std::filesystem::rename(directory, path_);
    reopen();
    warn("test", "still here");
    std::ifstream moved(path_ / "log");
    std::string text((std::istreambuf_iterator<char>(moved)), {});
    EXPECT_NE(text.find("cannot open the log file again"), std::string::npos) << text;
    EXPECT_NE(text.find("still here"), std::string::npos) << text;
    ASSERT_TRUE(setup({}));
    std::filesystem::remove_all(path_);
}

TEST_F(LogFileTest, ForTheJournalEachLineBeginsWithItsPriority) {
    std::ofstream(path_).close();
    struct stat what{};
    ASSERT_EQ(::stat(path_.c_str(), &what), 0);
    const auto stream = std::to_string(what.st_dev) + ':' + std::to_string(what.st_ino);
    const auto say = [&](const std::string& named) {
        ASSERT_EQ(::setenv("JOURNAL_STREAM", named.c_str(), 1), 0);
        ASSERT_TRUE(setup({.level = Level::debug, .output_path = path_.string()}));
        debug("test", "a");
        info("test", "b");
        warn("test", "c");
        error("test", "d");
    };
    say(stream);
    say(stream + "0");  // another's
    ASSERT_EQ(::unsetenv("JOURNAL_STREAM"), 0);
    const auto found = lines();
    ASSERT_EQ(found.size(), 8U);
    constexpr std::array<std::string_view, 4> kExpected{"<7>{", "<6>{", "<4>{", "<3>{"};
    for (std::size_t i = 0; i < kExpected.size(); ++i) {
        EXPECT_EQ(found[i].substr(0, 4), kExpected[i]);
        EXPECT_EQ(found[i + 4].front(), '{');
    }
}

class LogPipeTest : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
        reader_ = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK);
        ASSERT_TRUE(setup({.level = Level::debug, .format = Format::json, .output_path = path_}));
    }
    void TearDown() override {
        if (reader_ >= 0) ::close(reader_);
        ASSERT_TRUE(setup({.output_path = "/dev/null"}));
        warn("test", "takes along what is to be told of lost lines");
        ASSERT_TRUE(setup({}));
        std::filesystem::remove(path_);
    }
    std::string read_all() const {
        std::string text;
        std::array<char, 65536> buffer{};
        for (ssize_t n = 0; (n = ::read(reader_, buffer.data(), buffer.size())) > 0;)
            text.append(buffer.data(), static_cast<std::size_t>(n));
        return text;
    }
    std::string path_ =
        std::filesystem::temp_directory_path() / ("txstream-log-pipe-" + std::to_string(getpid()));
    int reader_ = -1;
};

TEST_F(LogPipeTest, AReaderThatDoesNotReadHoldsUpNobodyAndIsToldWhatItMissed) {
    const auto lost_before = lost_count();
    const std::string filler(3000, 'x');
    constexpr int kLines = 1000;
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < kLines; ++i) debug("test", filler);
    EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
    const auto lost = lost_count() - lost_before;
    EXPECT_GT(lost, 900U);
    (void)read_all();
    debug("test", "it reads again");
    const auto text = read_all();
    EXPECT_NE(text.find("\"it reads again\""), std::string::npos) << text;
    EXPECT_NE(text.find("\"lines\":" + std::to_string(lost)), std::string::npos) << text;
}

TEST_F(LogPipeTest, AClosedReaderIsNoReasonToEnd) {
    const auto before = std::signal(SIGPIPE, SIG_IGN);  // as serve() does
    const auto lost = lost_count();
    ::close(std::exchange(reader_, -1));
    debug("test", "nobody reads");
    EXPECT_EQ(lost_count(), lost + 1);
    (void)std::signal(SIGPIPE, before);
}

TEST_F(LogFileTest, AFullDiskCostsLinesAndTheNextLineTellsHowMany) {
    ASSERT_TRUE(setup({.output_path = "/dev/full"}));
    const auto lost = lost_count();
    warn("test", "no room for this");
    EXPECT_EQ(lost_count(), lost + 1);
    ASSERT_TRUE(setup({.format = Format::json, .output_path = path_.string()}));
    warn("test", "there is room again");
    const auto found = lines();
    ASSERT_EQ(found.size(), 2U);
    EXPECT_NE(found[1].find(R"("lines":1)"), std::string::npos) << found[1];
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
