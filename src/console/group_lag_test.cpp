#include "console/group_lag.hpp"

#include <gtest/gtest.h>

namespace txstream::console {
namespace {

using namespace std::chrono_literals;
using Committed = std::vector<kafka::CommittedOffset>;

kafka::CommittedOffset at(const std::string& topic, std::int32_t partition, std::int64_t offset) {
    return {.topic = topic, .partition = partition, .offset = offset, .metadata = {}};
}

kafka::GroupState stable(std::vector<PartitionOf> assigned) {
    kafka::GroupState state;
    state.phase = kafka::GroupPhase::stable;
    state.members.push_back(
        {.id = "m-1",
         .client_id = "billing",
         .instance_id = {},
         .host = "10.0.0.7",
         .assigned = std::move(assigned)}
    );
    return state;
}

TEST(GroupLagTest, LagIsWhatIsLeftToTheLastStableOffset) {
    const auto group = lag_of(
        {at("orders", 0, 10), at("orders", 1, 20)},
        stable({{"orders", 0}, {"orders", 1}}),
        {{{"orders", 0}, 15}, {{"orders", 1}, 20}}
    );
    ASSERT_EQ(group.offsets.size(), 2U);
    EXPECT_EQ(group.offsets[0].lag, 5);
    EXPECT_EQ(group.offsets[1].lag, 0);
    EXPECT_EQ(group.offsets[0].member, "billing @ 10.0.0.7");
    EXPECT_EQ(group.lag, 5);
}

TEST(GroupLagTest, AConsumerPastTheLastStableOffsetHasNoNegativeLag) {
    const auto group = lag_of({at("orders", 0, 24)}, std::nullopt, {{{"orders", 0}, 17}});
    EXPECT_EQ(group.lag, 0);
}

TEST(GroupLagTest, ATopicThatNoMemberReadsIsStaleAndDoesNotCount) {
    const auto group = lag_of(
        {at("old", 0, 1), at("orders", 0, 10)},
        stable({{"orders", 0}}),
        {{{"old", 0}, 1000}, {{"orders", 0}, 12}}
    );
    EXPECT_TRUE(group.offsets[0].is_stale);
    EXPECT_EQ(group.offsets[0].lag, 999);
    EXPECT_FALSE(group.offsets[1].is_stale);
    EXPECT_EQ(group.topics, std::vector<std::string>{"orders"});
    EXPECT_EQ(group.lag, 2);
}

TEST(GroupLagTest, WithoutAssignmentsNothingIsStale) {
    kafka::GroupState state;
    for (const auto phase :
         {kafka::GroupPhase::empty, kafka::GroupPhase::preparing, kafka::GroupPhase::stable}) {
        state.phase = phase;
        const auto group = lag_of({at("orders", 0, 10)}, state, {{{"orders", 0}, 12}});
        EXPECT_FALSE(group.offsets[0].is_stale);
        EXPECT_EQ(group.lag, 2);
    }
}

TEST(GroupLagTest, LagIsNotKnownWhileAnyEndIsNotKnown) {
    const Ends failed{
        {{"orders", 0}, 12}, {{"orders", 1}, tl::unexpected<Error>(Error(Code::timed_out, "late"))}
    };
    const Committed committed{at("orders", 0, 10), at("orders", 1, 10)};
    const auto group = lag_of(committed, std::nullopt, failed);
    EXPECT_EQ(group.offsets[0].lag, 2);
    EXPECT_EQ(group.offsets[1].lag, std::nullopt);
    EXPECT_EQ(group.offsets[1].error, "late");
    EXPECT_EQ(group.lag, std::nullopt);
    EXPECT_EQ(lag_of(committed, std::nullopt, {}).lag, std::nullopt);
    EXPECT_EQ(lag_of({}, std::nullopt, {}).lag, std::nullopt);
}

TEST(GroupLagTest, APartitionThatIsReadAndNotYetCommittedIsShownWithoutALag) {
    const auto group = lag_of(
        {at("orders", 0, 10)},
        stable({{"orders", 0}, {"orders", 1}}),
        {{{"orders", 0}, 12}, {{"orders", 1}, 7}}
    );
    ASSERT_EQ(group.offsets.size(), 2U);
    EXPECT_EQ(group.offsets[1].committed, std::nullopt);
    EXPECT_EQ(group.offsets[1].end, 7);
    EXPECT_EQ(group.offsets[1].lag, std::nullopt);
    EXPECT_EQ(group.lag, 2);
}

TEST(LagHistoryTest, OneSampleIsNoTrend) {
    LagHistory history;
    const LagHistory::Clock::time_point start{};
    history.add("g", start, 10);
    EXPECT_TRUE(history.of("g", start).empty());
    history.add("g", start + 1s, 11);  // too near
    EXPECT_TRUE(history.of("g", start + 1s).empty());
    history.add("g", start + 5s, 12);
    const auto samples = history.of("g", start + 5s);
    ASSERT_EQ(samples.size(), 2U);
    EXPECT_EQ(samples[1].lag, 12);
    EXPECT_TRUE(history.of("other", start).empty());
}

TEST(LagHistoryTest, ItIsBoundedInSamplesGroupsAndAge) {
    LagHistory history({.groups_max = 2, .samples_max = 3, .step = 5s, .age_max = 60min});
    LagHistory::Clock::time_point now{};
    for (int i = 0; i < 10; ++i) {
        history.add("old", now, i);
        now += 5s;
    }
    ASSERT_EQ(history.of("old", now).size(), 3U);
    EXPECT_EQ(history.of("old", now).front().lag, 7);
    history.add("b", now, 1);
    history.add("c", now + 1s, 1);
    EXPECT_TRUE(history.of("old", now).empty()) << "the one looked at longest ago goes";
    history.add("c", now + 10s, 1);
    EXPECT_EQ(history.of("c", now + 10s).size(), 2U);
    EXPECT_TRUE(history.of("c", now + 2h).empty());
}

}  // namespace
}  // namespace txstream::console
