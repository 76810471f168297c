#include "console/group_index.hpp"

#include <gtest/gtest.h>

namespace txstream::console {
namespace {

using namespace std::chrono_literals;
using Names = std::vector<std::string>;

std::vector<kafka::GroupListing> listed(const Names& names) {
    std::vector<kafka::GroupListing> groups;
    for (const auto& name : names) groups.push_back({.name = name});
    return groups;
}

std::vector<kafka::CommittedOffset> committed(const std::string& topic, int partitions) {
    std::vector<kafka::CommittedOffset> offsets;
    for (int i = 0; i < partitions; ++i)
        offsets.push_back({.topic = topic, .partition = i, .offset = 10 * i, .metadata = {}});
    return offsets;
}

const GroupIndex::Clock::time_point kStart{};

TEST(GroupIndexTest, ALookReadsABoundedNumberAndTheNextOneGoesOnWithTheRest) {
    GroupIndex index({.groups_in_one_look = 2});
    const auto groups = listed({"a", "b", "c"});
    EXPECT_EQ(index.look(groups, kStart), (Names{"a", "b"}));
    index.put("a", committed("t", 1), kStart);
    index.put("b", committed("t", 1), kStart);
    EXPECT_EQ(index.seen(), 2U);
    EXPECT_EQ(index.total(), 3U);
    EXPECT_EQ(index.look(groups, kStart + 1s), Names{"c"});
    index.put("c", committed("u", 1), kStart + 1s);
    EXPECT_EQ(index.look(groups, kStart + 2s), Names{}) << "all are recent";
    EXPECT_EQ(index.look(groups, kStart + 10s), (Names{"a", "b"})) << "the oldest first";
    EXPECT_EQ(index.readers_of("t").size(), 2U);
    EXPECT_EQ(index.seen(), 3U);
}

TEST(GroupIndexTest, WhatIsGoneIsForgottenAndWhatFailedIsNotSeen) {
    GroupIndex index;
    index.look(listed({"a", "b"}), kStart);
    index.put("a", committed("t", 2), kStart);
    index.put("b", std::nullopt, kStart);
    EXPECT_EQ(index.seen(), 1U);
    EXPECT_EQ(index.look(listed({"b"}), kStart + 1s), Names{}) << "a failure is not asked at once";
    EXPECT_EQ(index.seen(), 0U);
    EXPECT_TRUE(index.readers_of("t").empty());
    index.put("a", committed("t", 2), kStart);  // an answer that came too late
    EXPECT_TRUE(index.readers_of("t").empty());
}

TEST(GroupIndexTest, ItHoldsABoundedNumberOfOffsetsAndGroups) {
    GroupIndex index({.groups_max = 2, .offsets_max = 5});
    EXPECT_EQ(index.look(listed({"a", "b", "c"}), kStart), (Names{"a", "b"}));
    index.put("a", committed("t", 4), kStart);
    index.put("b", committed("t", 2), kStart);
    EXPECT_EQ(index.seen(), 1U);
    EXPECT_EQ(index.total(), 3U);
    index.put("a", committed("t", 1), kStart);
    index.put("b", committed("t", 2), kStart);
    EXPECT_EQ(index.seen(), 2U);
}

TEST(GroupIndexTest, LagIsKnownWhereEachEndIs) {
    const GroupIndex::Offsets offsets{{0, 5}, {1, 20}};
    EXPECT_EQ(lag_of(offsets, {{0, 8}, {1, 10}, {2, 99}}), 3);
    EXPECT_EQ(lag_of(offsets, {{0, 8}}), std::nullopt);
}

}  // namespace
}  // namespace txstream::console
