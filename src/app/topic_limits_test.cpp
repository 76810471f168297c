#include "app/topic_limits.hpp"

#include <gtest/gtest.h>

#include <future>
#include <memory>

namespace txstream::app {
namespace {

using namespace std::chrono_literals;
using Clock = TopicLimits::Clock;

constexpr std::size_t kConfigured = 1'000'000;

/// Answers what the test put in; counts how often it was asked.
struct FakeCluster {
    std::mutex mutex;
    std::map<std::string, kafka::TopicConfig> topics;
    int looks = 0;

    TopicLimits::Look look() {
        return [this](const std::vector<std::string>& names) {
            const std::scoped_lock lock(mutex);
            ++looks;
            std::vector<Result<kafka::TopicConfig>> found;
            for (const auto& name : names) {
                const auto at = topics.find(name);
                found.push_back(
                    at != topics.end() ? Result<kafka::TopicConfig>(at->second)
                                       : fail(Code::not_found, "no such topic", "UNKNOWN")
                );
            }
            return found;
        };
    }
};

class TopicLimitsTest : public testing::Test {
protected:
    /// As a publisher does: asks, and asks again when it hears of an answer.
    TopicLimit settled(const std::string& topic, Clock::time_point now) {
        for (int i = 0; i < 100; ++i) {
            auto answered = std::make_shared<std::promise<void>>();
            auto heard = answered->get_future();
            const auto once = std::make_shared<std::atomic<bool>>(false);
            const auto subscription = limits_.subscribe([answered, once] {
                if (!once->exchange(true)) answered->set_value();
            });
            const auto limit = limits_.of(topic, now);
            if (!limit) EXPECT_EQ(heard.wait_for(10s), std::future_status::ready);
            limits_.unsubscribe(subscription);
            if (limit) return *limit;
        }
        ADD_FAILURE() << "no answer for " << topic;
        return {};
    }

    FakeCluster cluster_;
    TopicLimits limits_{kConfigured, cluster_.look()};
    Clock::time_point now_ = Clock::now();
};

TEST_F(TopicLimitsTest, ATopicsLimitsAreKnownBeforeItsFirstRecord) {
    cluster_.topics["small"] = {3000, 60s};
    EXPECT_FALSE(limits_.of("small", now_));
    const auto limit = settled("small", now_);
    EXPECT_EQ(limit.bytes_max, 3000U);
    EXPECT_TRUE(limit.is_told);
    EXPECT_EQ(limit.record_age_max, 60s);
    EXPECT_EQ(limits_.batch_bytes_max(), 3000U);
    cluster_.topics["large"] = {50'000'000, {}};
    EXPECT_EQ(settled("large", now_).bytes_max, kConfigured) << "the lower of both";
    EXPECT_EQ(limits_.batch_bytes_max(), 3000U);
    EXPECT_EQ(cluster_.looks, 2);
}

TEST_F(TopicLimitsTest, ATopicThatDoesNotTellHasTheConfiguredLimitAndIsAskedAgainLater) {
    EXPECT_EQ(settled("hidden", now_).bytes_max, kConfigured);
    EXPECT_FALSE(settled("hidden", now_).is_told);
    EXPECT_EQ(cluster_.looks, 1);
    {
        const std::scoped_lock lock(cluster_.mutex);
        cluster_.topics["hidden"] = {5000, {}};
    }
    const auto later = now_ + TopicLimits::kRetryAfter + 10s;
    EXPECT_EQ(limits_.of("hidden", later)->bytes_max, kConfigured) << "without waiting";
    limits_.doubt("hidden", 0ms, later);
    EXPECT_EQ(settled("hidden", later).bytes_max, 5000U);
}

TEST_F(TopicLimitsTest, ARefusalIsAnsweredByAskingAgain) {
    cluster_.topics["t"] = {kConfigured, {}};
    (void)settled("t", now_);
    {
        const std::scoped_lock lock(cluster_.mutex);
        cluster_.topics["t"] = {3000, {}};
    }
    const auto later = now_ + 1min;
    EXPECT_TRUE(limits_.refused("t", kConfigured, 720, later));
    EXPECT_FALSE(limits_.of("t", later));
    EXPECT_EQ(settled("t", later).bytes_max, 3000U) << "the topic's word, not a guess";
    EXPECT_FALSE(limits_.refused("t", 3000, 4000, later)) << "the record is to blame";
}

TEST_F(TopicLimitsTest, WithoutAnAnswerRefusalsHalveTheBatchUntilTheRecordIsToBlame) {
    (void)settled("hidden", now_);
    std::size_t batch = kConfigured;
    int refusals = 0;
    while (limits_.refused("hidden", batch, 720, now_)) {
        batch = limits_.batch_bytes_max();
        ASSERT_LT(++refusals, 20);
    }
    EXPECT_EQ(batch, 720U);
}

TEST_F(TopicLimitsTest, ABrokerThatContradictsItsOwnConfigurationIsNotAskedForEver) {
    cluster_.topics["t"] = {kConfigured, {}};
    (void)settled("t", now_);
    std::size_t batch = kConfigured;
    int refusals = 0;
    for (auto now = now_; limits_.refused("t", batch, 720, now); now += 2s) {
        (void)settled("t", now);
        batch = limits_.batch_bytes_max();
        ASSERT_LT(++refusals, 20);
    }
    EXPECT_EQ(batch, 720U);
}

TEST_F(TopicLimitsTest, TopicsBeyondTheLimitAreNotLookedUp) {
    for (std::size_t i = 0; i < TopicLimits::kTopicsMax; ++i)
        (void)limits_.of("topic-" + std::to_string(i), now_);
    EXPECT_EQ(limits_.of("one-more", now_)->bytes_max, kConfigured);
}

TEST(TopicLimitsWithoutClusterTest, NothingIsWaitedFor) {
    TopicLimits limits(kConfigured, nullptr);
    EXPECT_EQ(limits.of("t", Clock::now())->bytes_max, kConfigured);
    limits.put("known", {2000, {}}, Clock::now());
    EXPECT_EQ(limits.of("known", Clock::now())->bytes_max, 2000U);
    EXPECT_TRUE(limits.refused("t", kConfigured, 100, Clock::now()));
    EXPECT_EQ(limits.of("t", Clock::now())->bytes_max, kConfigured / 2);
}

}  // namespace
}  // namespace txstream::app
