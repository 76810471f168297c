#include "base/utf8.hpp"

#include <gtest/gtest.h>

namespace txstream {
namespace {

TEST(Utf8Test, ASequenceIsMeasuredAndWhatIsNoneIsNot) {
    EXPECT_EQ(utf8_length("a"), 1U);
    EXPECT_EQ(utf8_length("\u00e9x"), 2U);
    EXPECT_EQ(utf8_length("\u20ac"), 3U);
    EXPECT_EQ(utf8_length("\U0001F600"), 4U);
    for (const char* none :
         {"", "\x80", "\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82"}) {
        EXPECT_EQ(utf8_length(none), 0U) << none;
    }
}

TEST(Utf8Test, StorableTextIsValidBoundedAndWithoutNul) {
    EXPECT_EQ(storable_text("plain", 100), "plain");
    EXPECT_EQ(storable_text("plain", 5), "plain");
    EXPECT_EQ(storable_text("too long", 7), "too ...");
    EXPECT_EQ(storable_text("\u20ac\u20ac\u20ac", 8), "\u20ac...");
    EXPECT_EQ(
        storable_text(std::string_view("a\0b\xff", 4), 100),
        "a\xEF\xBF\xBD"
        "b\xEF\xBF\xBD"
    );
    EXPECT_EQ(storable_text("abc", 2), "..");
    EXPECT_EQ(storable_text(std::string(10000, 'x'), 2000).size(), 2000U);
}

TEST(Utf8Test, ATextIsUtf8IfEachOfItsSequencesIs) {
    EXPECT_TRUE(is_utf8(""));
    EXPECT_TRUE(is_utf8("a\xc3\xa9\xf0\x9f\x98\x80"));
    for (const char* text : {"\xff", "a\xc3", "\xed\xa0\x80", "\xc0\xaf"})
        EXPECT_FALSE(is_utf8(text)) << text;
}

}  // namespace
}  // namespace txstream
