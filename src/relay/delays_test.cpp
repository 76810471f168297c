#include "relay/delays.hpp"

#include <gtest/gtest.h>

namespace txstream::relay {
namespace {

constexpr DelayReason kReason = "kafka-unavailable";
constexpr DelayReason kNone;

TEST(LaneDelayTest, WithoutADelayNothingIsLate) {
    LaneDelay delay;
    delay.end(3);
    for (LaneDelay::Look look = 0; look < 5; ++look) EXPECT_EQ(delay.of(look), kNone);
}

TEST(LaneDelayTest, WhatWasFoundBeforeAndIsHandedOverDuringTheDelayIsLate) {
    LaneDelay delay;
    delay.begin(kReason);
    EXPECT_EQ(delay.of(0), kReason);
    EXPECT_EQ(delay.of(8), kReason);
}

TEST(LaneDelayTest, TheFirstLookAfterADelayFindsWhatWasCommittedDuringIt) {
    LaneDelay delay;
    delay.begin(kReason);
    delay.begin(kBreakerOpen);
    delay.end(7);
    EXPECT_EQ(delay.of(7), kBreakerOpen) << "the latest reason";
    EXPECT_EQ(delay.of(8), kBreakerOpen);
    EXPECT_EQ(delay.of(9), kNone);
    delay.end(20);
    EXPECT_EQ(delay.of(9), kNone) << "a delay ends once";
}

TEST(EarlierTriesTest, TriesAreCountedUntilTheirPageIsAcknowledged) {
    EarlierTries tries;
    EXPECT_TRUE(tries.empty());
    tries.add(EventSeq(1, 3), kLaneLost);
    tries.add(EventSeq(1, 4), kLaneLost);
    tries.add(EventSeq(1, 3), kWaitedTooLong);
    EXPECT_EQ(tries.of(EventSeq(1, 3))->count, 2U);
    EXPECT_EQ(tries.of(EventSeq(1, 3))->reason, kWaitedTooLong);
    EXPECT_EQ(tries.of(EventSeq(1, 4))->count, 1U) << "the same id of another transaction";
    EXPECT_FALSE(tries.of(EventSeq(2, 3)));
    tries.forget(EventSeq(1, 3));
    EXPECT_FALSE(tries.of(EventSeq(1, 3)));
    tries.forget(EventSeq(1, 4));
    EXPECT_TRUE(tries.empty());
}

TEST(EarlierTriesTest, NoMoreAreRememberedThanTheLimit) {
    EarlierTries tries;
    for (std::size_t i = 0; i < EarlierTries::kEventsMax; ++i)
        tries.add(EventSeq(static_cast<std::int64_t>(i)), kLaneLost);
    tries.add(EventSeq(1'000'000), kLaneLost);
    EXPECT_FALSE(tries.of(EventSeq(1'000'000)));
    tries.add(EventSeq(5), kLaneLost);
    EXPECT_EQ(tries.of(EventSeq(5))->count, 2U) << "what is known is counted on";
}

}  // namespace
}  // namespace txstream::relay
