#include "domain/timestamp.hpp"

#include <gtest/gtest.h>

namespace txstream::domain {
namespace {

std::string again(std::string_view text) {
    const auto time = parse_rfc3339(text);
    if (!time) return "refused";
    std::string out;
    append_rfc3339(out, *time);
    return out;
}

TEST(TimestampTest, WhatPeopleWriteIsATimeInUtc) {
    EXPECT_EQ(again("2024-01-15"), "2024-01-15T00:00:00Z");
    EXPECT_EQ(again("2024-01-15T10:30"), "2024-01-15T10:30:00Z");
    EXPECT_EQ(again("2024-01-15 10:30:59"), "2024-01-15T10:30:59Z");
    EXPECT_EQ(again("2024-01-15T10:30:00.5Z"), "2024-01-15T10:30:00.500000Z");
    EXPECT_EQ(again("2024-01-15T10:30:00.1234567z"), "2024-01-15T10:30:00.123456Z");
    EXPECT_EQ(again("2024-02-29T22:30:00-03:30"), "2024-03-01T02:00:00Z");
    EXPECT_EQ(again("2024-01-15T00:30+01:00"), "2024-01-14T23:30:00Z");
    EXPECT_EQ(again("1969-12-31T23:59:60Z"), "1970-01-01T00:00:00Z");
}

TEST(TimestampTest, WhatIsNoTimeIsRefused) {
    for (const char* text :
         {"",
          "now",
          "2024",
          "2024-13-01",
          "2023-02-29",
          "2024-01-15T",
          "2024-01-15T24:00",
          "2024-01-15T10:60",
          "2024-01-15T10:30:61Z",
          "2024-01-15T10:30:00.Z",
          "2024-01-15T10:30:00Zx",
          "2024-01-15T10:30:00+1",
          "+024-01-15",
          "2024-1-15",
          "0000-01-01"})
        EXPECT_EQ(again(text), "refused") << text;
}

}  // namespace
}  // namespace txstream::domain
