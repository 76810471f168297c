#include "policy/retry_policy.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace txstream::policy {
namespace {

using std::chrono::milliseconds;

TEST(RetryPolicyTest, WithoutExponentialTheDelayIsFixed) {
    RetryPolicy policy{.exponential = false, .fixed_delay = milliseconds(700)};
    EXPECT_EQ(policy.delay(0, 0.0), milliseconds(700));
    EXPECT_EQ(policy.delay(9, 0.99), milliseconds(700));
}

TEST(RetryPolicyTest, TheMiddleOfTheJitterIsBaseTimesMultiplierToTheAttempt) {
    RetryPolicy policy;
    EXPECT_EQ(policy.delay(0, 0.5), milliseconds(1000));
    EXPECT_EQ(policy.delay(1, 0.5), milliseconds(2000));
    EXPECT_EQ(policy.delay(3, 0.5), milliseconds(8000));
}

// Aim: the bounds hold for any attempt, multiplier and random number. Method: 20,000 seeded
// samples.
TEST(RetryPolicyTest, EveryDelayLiesWithinTheJitterBoundsAndTheCap) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> unit(0.0, 1.0);
    for (int i = 0; i < 20000; ++i) {
        RetryPolicy policy{.multiplier = 1.0 + 3.0 * unit(random)};
        const unsigned attempt = random() % 12;
        const double middle = 1000.0 * std::pow(policy.multiplier, attempt);
        const auto delay =
            static_cast<double>(policy.delay(attempt, std::min(unit(random), 0.999)).count());
        ASSERT_GE(delay + 1, std::min(middle * 0.5, 30000.0)) << "attempt " << attempt;
        ASSERT_LE(delay, std::min(middle * 1.5, 30000.0)) << "attempt " << attempt;
    }
}

TEST(RetryPolicyTest, AHugeAttemptIsCappedNotOverflowed) {
    EXPECT_EQ(RetryPolicy{}.delay(4'000'000'000U, 0.0), milliseconds(30000));
}

TEST(RetryPolicyTest, JitterVariesTheDelay) {
    EXPECT_EQ(RetryPolicy{}.delay(0, 0.0), milliseconds(500));
    EXPECT_EQ(RetryPolicy{}.delay(0, 0.999), milliseconds(1499));
}

}  // namespace
}  // namespace txstream::policy
