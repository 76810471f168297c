#include "domain/json_members.hpp"

#include <gtest/gtest.h>

#include <string>

namespace txstream::domain {
namespace {

std::string members_of(std::string_view text) {
    JsonMembers members(text);
    std::string found;
    while (members.next()) {
        found.append(members.name()).append("=").append(members.value()).append(";");
    }
    return found + (members.is_whole() ? "whole" : "broken");
}

TEST(JsonMembersTest, MembersAreTheTokensThatWereWritten) {
    EXPECT_EQ(members_of("{}"), "whole");
    EXPECT_EQ(members_of(" { } "), "whole");
    EXPECT_EQ(
        members_of(R"( {"a" : "x" , "b":-1.50e400,"c":[1, {"}":"]"}] ,"d":{"e":"\"}"}, "a":null})"),
        R"("a"="x";"b"=-1.50e400;"c"=[1, {"}":"]"}];"d"={"e":"\"}"};"a"=null;whole)"
    );
}

TEST(JsonMembersTest, WhatAParserRefusesIsPassedOverWithoutHarmToTheRest) {
    const std::string deep = std::string(5000, '[') + std::string(5000, ']');
    EXPECT_EQ(
        members_of(R"({"half":"\ud83d","\udc00":"x","deep":)" + deep + R"(,"z":"\\"})"),
        R"("half"="\ud83d";"\udc00"="x";"deep"=)" + deep + R"(;"z"="\\";whole)"
    );
}

TEST(JsonMembersTest, TextThatIsNoObjectIsNeverWhole) {
    for (const char* text :
         {"",
          "null",
          "[1]",
          "{",
          R"({"a)",
          R"({"a")",
          R"({"a":)",
          R"({"a":"x)",
          "{a",
          "{\"a\":[",
          "{,}",
          R"({"a":1,)",
          R"({"a":1)",
          R"({"a" 1})",
          R"({} {})",
          R"({"a":1}x)",
          R"({"a":"x\)",
          R"({"a":})"}) {
        EXPECT_TRUE(members_of(text).ends_with("broken")) << text << " " << members_of(text);
    }
}

}  // namespace
}  // namespace txstream::domain
