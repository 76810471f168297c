#include "base/text.hpp"

#include <gtest/gtest.h>

namespace txstream {
namespace {

TEST(TextTest, SpacesAndTabsAtTheEndsAreTrimmedAndNothingElse) {
    EXPECT_EQ(trimmed(" \t a b\t"), "a b");
    EXPECT_EQ(trimmed(" \t "), "");
    EXPECT_EQ(trimmed(""), "");
    EXPECT_EQ(trimmed("\na\r"), "\na\r");
}

TEST(TextTest, ASplitTextHasOnePartMoreThanMarks) {
    using Parts = std::vector<std::string_view>;
    EXPECT_EQ(split("", ','), Parts{""});
    EXPECT_EQ(split("a", ','), Parts{"a"});
    EXPECT_EQ(split(",a,,b,", ','), (Parts{"", "a", "", "b", ""}));
}

TEST(TextTest, OnlyTheCaseOfAsciiLettersIsIgnored) {
    EXPECT_EQ(lowered("Az[@\xc3\x89"), "az[@\xc3\x89");
    EXPECT_TRUE(same_word("Content-Type", "cONTENT-tYPE"));
    EXPECT_FALSE(same_word("a", "ab"));
    EXPECT_FALSE(same_word("[", "{"));
    EXPECT_FALSE(same_word("\xc3\x89", "\xc3\xa9"));
}

TEST(TextTest, HexadecimalDigitsAreReadInBothCasesAndWrittenInOne) {
    const std::string_view digits = "0123456789abcdefABCDEF";
    for (std::size_t i = 0; i < digits.size(); ++i)
        EXPECT_EQ(hex_digit(digits[i]), static_cast<int>(i < 16 ? i : i - 6));
    for (const char c : {'g', 'G', '/', ':', '@', '`', ' ', '\0'}) EXPECT_EQ(hex_digit(c), -1) << c;
    EXPECT_EQ(to_hex(std::vector<unsigned char>{0x00, 0x9f, 0xff}), "009fff");
}

TEST(TextTest, OnlyTheUsualFormIsAUuid) {
    EXPECT_TRUE(is_uuid("550e8400-e29b-41d4-a716-446655440000"));
    EXPECT_TRUE(is_uuid("550E8400-E29B-41D4-A716-446655440000"));
    for (const char* text :
         {"",
          "abc",
          "550e8400-e29b-41d4-a716-44665544000",
          "550e8400-e29b-41d4-a716-4466554400000",
          "550e8400e29b41d4a716446655440000",
          "550e8400-e29b-41d4-a716-44665544000g",
          "{50e8400-e29b-41d4-a716-44665544000}",
          "550e8400-e29b-41d4-a716_446655440000"}) {
        EXPECT_FALSE(is_uuid(text)) << text;
    }
}

TEST(TextTest, OnlyThisMachinesAddressesAreLoopback) {
    for (const char* host : {"localhost", "127.0.0.1", "127.9.8.7", "::1", "0:0::1"})
        EXPECT_TRUE(is_loopback(host)) << host;
    for (const char* host :
         {"", "Localhost", "localhost.example", "128.0.0.1", "127.1", "0.0.0.0", "::", "::2", "*"})
        EXPECT_FALSE(is_loopback(host)) << host;
}

TEST(TextTest, PercentEncodingIsUndoneOrRefused) {
    EXPECT_EQ(percent_decoded("a%20b+%c3%A9%25"), "a b+\xc3\xa9%");
    for (const char* text : {"%", "%2", "a%2g", "%%20"})
        EXPECT_FALSE(percent_decoded(text)) << text;
}

TEST(JsonStringTest, EveryByteStringBecomesValidJson) {
    EXPECT_EQ(json_string(""), R"("")");
    EXPECT_EQ(json_string("a\"b\\c/\b\f\n\r\t"), R"("a\"b\\c/\b\f\n\r\t")");
    EXPECT_EQ(json_string(std::string_view("\0\x1f\x7f", 3)), R"("\u0000\u001f\u007f")");
    EXPECT_EQ(json_string("S\xc3\xa3o \xf0\x9f\x98\x80"), "\"S\xc3\xa3o \xf0\x9f\x98\x80\"");
    EXPECT_EQ(
        json_string("x\xff\xc3y\xe2\x82"), "\"x\xef\xbf\xbd\xef\xbf\xbdy\xef\xbf\xbd\xef\xbf\xbd\""
    );
}

}  // namespace
}  // namespace txstream
