#include "operations/selection.hpp"

#include <gtest/gtest.h>

namespace txstream::operations {
namespace {

TEST(SelectionTest, OneWayOfNamingTheLettersIsAllowed) {
    EXPECT_FALSE(check({}));
    EXPECT_TRUE(check({.id = "7"}));
    EXPECT_TRUE(check({.event_id = "0b6b7f6e-9f0a-4f6e-8a53-0d9d7a1c2b3d"}));
    EXPECT_TRUE(check({.key = "k", .error_class = "X", .event_type = "E", .topic = ""}));
    EXPECT_TRUE(check({.is_all = true}));
    EXPECT_FALSE(check({.id = "7", .key = "k"}));
    EXPECT_FALSE(check({.id = "7", .is_all = true}));
    EXPECT_FALSE(check({.topic = "t", .is_all = true}));
    EXPECT_FALSE(check({.id = "7", .event_id = "0b6b7f6e-9f0a-4f6e-8a53-0d9d7a1c2b3d"}));
}

TEST(SelectionTest, WhatNamesNothingIsRefusedBeforeAnybodyIsAsked) {
    for (const char* id : {"", "x", "7x", "-7", "7.", "7.x", "99999999999999999999"})
        EXPECT_FALSE(check({.id = id})) << id;
    EXPECT_FALSE(check({.event_id = "7"}));
    EXPECT_FALSE(check({.key = "\xff"}));
}

TEST(SelectionTest, AnIdMayNameItsTransaction) {
    EXPECT_EQ(*parse_id("7"), EventSeq(7));
    EXPECT_EQ(*parse_id("7.901"), EventSeq(7, 901));
}

TEST(SelectionTest, TheAuditKeepsWhatWasAskedForAndNothingElse) {
    EXPECT_EQ(target_json({.id = "7.901"}), R"({"id":"7.901"})");
    EXPECT_EQ(target_json({.key = "\"'\n", .topic = ""}), R"({"key":"\"'\n","topic":""})");
    EXPECT_EQ(target_json({.is_all = true}), R"({"all":true})");
}

TEST(SelectionTest, AJobIsAboutWhatWasAskedForOrAboutNothing) {
    const auto parsed = parse_target(target_json({.key = "\"'\n", .topic = ""}));
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->key, "\"'\n");
    EXPECT_EQ(parsed->topic, "");
    EXPECT_FALSE(parsed->seq);
    EXPECT_FALSE(parsed->error_class);
    EXPECT_TRUE(parse_target(R"({"all":true})"));
    for (const char* text :
         {"",
          "[]",
          "{}",
          R"({"all":false})",
          R"({"key":7})",
          R"({"key":"k","colour":"red"})",
          R"({"id":"7.900"})"})
        EXPECT_EQ(parse_target(text).error().code(), Code::corrupt) << text;
}

}  // namespace
}  // namespace txstream::operations
