#include "domain/text.hpp"

#include <gtest/gtest.h>

namespace txstream::domain {
namespace {

TEST(TextTest, AnExcerptIsCutBetweenCharactersAndSaysSo) {
    EXPECT_EQ(excerpt("São", 3), "São");
    EXPECT_EQ(excerpt("São", 2), "Sã…");
    EXPECT_EQ(excerpt("😀😀", 1), "😀…");
    EXPECT_EQ(excerpt("", 0), "");
    EXPECT_EQ(excerpt(std::string(100'000, 'x')).size(), 64 + 3);
    EXPECT_EQ(excerpt("\x80\x80\x80", 1), "\x80\x80\x80") << "no UTF-8, no crash";
}

TEST(TextTest, OnlyWhiteSpaceAndControlCharactersAreBlank) {
    for (const char* text : {"", " ", "\t\r\n", "\x01 \x1f"}) EXPECT_TRUE(is_blank(text)) << text;
    for (const char* text : {" a", "0", "ã", "\x7f"}) EXPECT_FALSE(is_blank(text)) << text;
}

}  // namespace
}  // namespace txstream::domain
