#include "relay/topic_paths.hpp"

#include <gtest/gtest.h>

namespace txstream::relay {
namespace {

using namespace std::chrono_literals;
using State = TopicPaths::State;

class TopicPathsTest : public testing::Test {
protected:
    static constexpr TopicPaths::Limits kLimits{
        .careful_for = 5min,
        .retry_delay = 30s,
        .patience = 2min,
        .careful_batch_max = 16,
        .topics_max = 5
    };
    TopicPaths paths_{"usual", kLimits};
    const TopicPaths::Clock::time_point now_ = TopicPaths::Clock::now();
};

TEST_F(TopicPathsTest, ARefusalMakesATopicCarefulForItsTimeAndNoOther) {
    auto& topic = paths_.of("a");
    paths_.proven(topic);
    ASSERT_TRUE(paths_.is_fast(topic, now_));
    paths_.refused(topic, "INVALID_RECORD", 1, now_);
    EXPECT_FALSE(paths_.is_fast(topic, now_ + 5min - 1ms));
    EXPECT_TRUE(paths_.is_fast(paths_.default_topic(), now_));
    paths_.refused(topic, "INVALID_RECORD", 1, now_ + 1min);
    EXPECT_FALSE(paths_.is_fast(topic, now_ + 5min)) << "from the last refusal on";
    EXPECT_TRUE(paths_.is_fast(topic, now_ + 6min));
}

TEST_F(TopicPathsTest, BatchesAreHalvedByRefusalsAndDoubledByWhatIsTaken) {
    auto& topic = paths_.of("a");
    paths_.proven(topic);
    paths_.refused(topic, "INVALID_RECORD", 1000, now_);
    EXPECT_EQ(topic.batch, 16U);
    for (const std::size_t half : {8U, 4U, 2U, 1U, 1U}) {
        paths_.refused(topic, "INVALID_RECORD", topic.batch, now_);
        EXPECT_EQ(topic.batch, half);
    }
    for (const std::size_t twice : {2U, 4U, 8U, 16U, 16U}) {
        paths_.taken(topic, now_);
        EXPECT_EQ(topic.batch, twice);
    }
    topic.in_flight = 15;
    EXPECT_TRUE(paths_.may_send(topic, now_));
    topic.in_flight = 16;
    EXPECT_FALSE(paths_.may_send(topic, now_));
}

TEST_F(TopicPathsTest, ATopicThatNothingVouchesForProvesItselfWithOneRecord) {
    auto& topic = paths_.of("a");
    EXPECT_FALSE(paths_.is_fast(topic, now_));
    EXPECT_EQ(topic.batch, 1U);
    paths_.taken(topic, now_);
    EXPECT_TRUE(paths_.is_fast(topic, now_));
}

TEST_F(TopicPathsTest, AClosedTopicIsTriedAtItsTimesUntilItTakesARecord) {
    auto& topic = paths_.of("a");
    EXPECT_TRUE(paths_.closed(topic, "_UNKNOWN_TOPIC", now_));
    EXPECT_FALSE(paths_.may_send(topic, now_ + 30s - 1ms));
    EXPECT_TRUE(paths_.may_send(topic, now_ + 30s));
    topic.in_flight = 1;
    EXPECT_FALSE(paths_.may_send(topic, now_ + 30s)) << "with one record";
    topic.in_flight = 0;
    EXPECT_FALSE(paths_.closed(topic, "_UNKNOWN_TOPIC", now_ + 31s)) << "no news";
    EXPECT_FALSE(paths_.may_send(topic, now_ + 60s));
    paths_.refused(topic, "INVALID_RECORD", 1, now_ + 61s);
    EXPECT_TRUE(paths_.is_closed(topic)) << "a record's refusal opens no topic";
    paths_.taken(topic, now_ + 61s);
    EXPECT_EQ(topic.state, State::careful);
    EXPECT_TRUE(paths_.closed(topic, "_UNKNOWN_TOPIC", now_ + 100s)) << "since then";
    EXPECT_FALSE(paths_.is_given_up(topic, now_ + 200s));
}

TEST_F(TopicPathsTest, PatienceEndsAtItsTimeOrForWantOfRoomAndNeverForTheDefaultTopic) {
    auto& topic = paths_.of("a");
    paths_.closed(topic, "_UNKNOWN_TOPIC", now_);
    paths_.closed(topic, "_UNKNOWN_TOPIC", now_ + 1min);
    EXPECT_FALSE(paths_.is_given_up(topic, now_ + 2min - 1ms));
    EXPECT_TRUE(paths_.is_given_up(topic, now_ + 2min)) << "from its first refusal on";
    paths_.taken(topic, now_ + 2min);
    EXPECT_FALSE(paths_.is_given_up(topic, now_ + 1h));
    paths_.closed(topic, "_UNKNOWN_TOPIC", now_ + 1h);
    paths_.give_up(topic);
    EXPECT_TRUE(paths_.is_given_up(topic, now_ + 1h));
    auto& usual = paths_.default_topic();
    paths_.closed(usual, "TOPIC_AUTHORIZATION_FAILED", now_);
    paths_.give_up(usual);
    EXPECT_FALSE(paths_.is_given_up(usual, now_ + 24h));
}

TEST_F(TopicPathsTest, OfTooManyTopicsThoseAreForgottenThatNothingDependsOn) {
    paths_.closed(paths_.of("closed"), "_UNKNOWN_TOPIC", now_);
    paths_.of("waiting").aside = 1;
    for (int i = 0; i < 100; ++i) paths_.proven(paths_.of("t" + std::to_string(i)));
    EXPECT_LE(paths_.all().size(), 5U);
    EXPECT_TRUE(paths_.all().contains("closed"));
    EXPECT_TRUE(paths_.all().contains("waiting"));
    EXPECT_TRUE(paths_.all().contains("usual"));
    for (int i = 0; i < 100; ++i)
        paths_.closed(paths_.of("made-up-" + std::to_string(i)), "_UNKNOWN_TOPIC", now_);
    EXPECT_LE(paths_.all().size(), 5U);
    EXPECT_TRUE(paths_.all().contains("waiting"));
}

TEST_F(TopicPathsTest, WhatIsOffTheFastPathIsToldWithItsReasonAndItsTimes) {
    paths_.proven(paths_.of("fast"));
    (void)paths_.of("unproven");
    EXPECT_TRUE(paths_.slow(now_).empty());
    auto& careful = paths_.of("careful");
    paths_.refused(careful, "INVALID_RECORD", 1, now_);
    paths_.refused(careful, "MSG_SIZE_TOO_LARGE", 1, now_ + 1min);
    auto& closed = paths_.of("closed");
    paths_.closed(closed, "_UNKNOWN_TOPIC", now_ + 1s);
    auto& usual = paths_.default_topic();
    paths_.closed(usual, "TOPIC_AUTHORIZATION_FAILED", now_ + 2s);
    const auto told = paths_.slow(now_ + 90s);
    const std::vector<SlowTopic> expected{
        {.name = "careful",
         .is_closed = false,
         .error = "MSG_SIZE_TOO_LARGE",
         .since = now_,
         .until = now_ + 6min},
        {.name = "closed",
         .is_closed = true,
         .error = "_UNKNOWN_TOPIC",
         .since = now_ + 1s,
         .until = now_ + 2min + 1s,
         .next_try = now_ + 31s},
        {.name = "usual",
         .is_closed = true,
         .error = "TOPIC_AUTHORIZATION_FAILED",
         .since = now_ + 2s,
         .until = std::nullopt,
         .next_try = now_ + 32s}
    };
    EXPECT_EQ(told, expected);
    // One that took a record has its reason still, and is over with its time.
    paths_.taken(closed, now_ + 2min);
    paths_.taken(usual, now_ + 2min);
    const auto later = paths_.slow(now_ + 6min);
    ASSERT_EQ(later.size(), 2U) << "careful is fast again";
    EXPECT_EQ(later[0].error, "_UNKNOWN_TOPIC");
    EXPECT_FALSE(later[0].is_closed);
    EXPECT_EQ(later[0].since, now_ + 2min);
    EXPECT_TRUE(paths_.slow(now_ + 7min).empty());
}

}  // namespace
}  // namespace txstream::relay
