#include "console/json.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <limits>

namespace txstream::console {
namespace {

using namespace std::string_literals;

TEST(ConsoleJsonTest, NumbersOf64BitsAreStrings) {
    EXPECT_EQ(number(std::numeric_limits<std::int64_t>::max()).dump(), "\"9223372036854775807\"");
    EXPECT_EQ(number(std::numeric_limits<std::int64_t>::min()).dump(), "\"-9223372036854775808\"");
    EXPECT_EQ(number(std::numeric_limits<std::uint64_t>::max()).dump(), "\"18446744073709551615\"");
}

TEST(ConsoleJsonTest, BytesAreShownAsTheyAreOrInBase64) {
    struct Case {
        std::string bytes;
        std::size_t shown_max;
        const char* encoding;
        std::string data;
        bool is_truncated;
    };
    const std::vector<Case> cases{
        {"", 10, "utf8", "", false},
        {"São", 10, "utf8", "São", false},
        {"São", 4, "utf8", "São", false},
        {"São", 3, "utf8", "Sã", true},
        {"São", 2, "utf8", "S", true},
        {"a\0b"s, 10, "utf8", "a\0b"s, false},
        {"\xff\xfe"s, 10, "base64", "//4=", false},
        {"abc\xff"s, 10, "base64", "YWJj/w==", false},
        {"\xff\xff\xff\xff"s, 2, "base64", "//8=", true},
    };
    for (const auto& one : cases) {
        const auto shown = bytes(one.bytes, one.shown_max);
        EXPECT_EQ(shown["encoding"], one.encoding) << one.bytes;
        EXPECT_EQ(shown["data"], one.data) << one.bytes;
        EXPECT_EQ(shown["truncated"], one.is_truncated) << one.bytes;
        EXPECT_EQ(shown["size"], std::to_string(one.bytes.size())) << one.bytes;
    }
}

TEST(ConsoleJsonTest, TheBeginningOfALargerTextSaysHowLargeTheWholeIs) {
    const auto shown = bytes("abc", 10, 5'000'000'000);
    EXPECT_EQ(shown["size"], "5000000000");
    EXPECT_EQ(shown["truncated"], true);
    const auto cut = bytes("ab\xc3", 10, 4);
    EXPECT_EQ(cut["encoding"], "utf8");
    EXPECT_EQ(cut["data"], "ab");
    EXPECT_EQ(bytes("ab\xc3", 10)["encoding"], "base64");
}

TEST(ConsoleJsonTest, ACursorComesBackAsItWasAndNoOtherIsTaken) {
    const Json position{{"id", "123"}, {"text", "ã?>~"}, {"deep", {1, 2, 3}}};
    const auto cursor = cursor_of(position);
    EXPECT_EQ(
        cursor.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                 "0123456789-_"),
        std::string::npos
    );
    const auto read = read_cursor(cursor);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(*read, position);
    for (const auto& bad : {"x"s, "!!!!"s, "eyJh"s, std::string(10'000, 'A'), "===="s})
        EXPECT_FALSE(read_cursor(bad).has_value()) << bad;
}

TEST(ConsoleJsonTest, AProblemNamesItsCodeAndSurvivesAnyBytes) {
    const auto response = problem(404, "not_found", "no \xff topic", Json{{"low", "5"}});
    EXPECT_EQ(response.content_type, "application/problem+json");
    const auto body = Json::parse(response.body);
    EXPECT_EQ(body["status"], 404);
    EXPECT_EQ(body["code"], "not_found");
    EXPECT_EQ(body["low"], "5");
    EXPECT_EQ(body["type"], "urn:txstream:problem:not_found");
}

TEST(ConsoleJsonTest, ANumberOfTheQueryHasLimits) {
    const auto read = [](std::string_view target) {
        const auto request = http::Request::make(http::Method::get, target);
        return query_number(*request, "size", 1, 100, 50);
    };
    EXPECT_EQ(read("/x").value(), 50);
    EXPECT_EQ(read("/x?size=7").value(), 7);
    for (const auto* bad : {"/x?size=0", "/x?size=101", "/x?size=", "/x?size=1e1", "/x?size=%201"})
        EXPECT_FALSE(read(bad).has_value()) << bad;
}

}  // namespace
}  // namespace txstream::console
