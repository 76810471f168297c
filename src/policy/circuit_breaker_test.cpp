#include "policy/circuit_breaker.hpp"

#include <gtest/gtest.h>

namespace txstream::policy {
namespace {

using namespace std::chrono_literals;
using Time = CircuitBreaker::Clock::time_point;

constexpr Time kStart{};

CircuitBreaker opened_at(Time now) {
    CircuitBreaker breaker(CircuitBreaker::Limits{});
    for (int i = 0; i < 5; ++i) breaker.failure(now);
    return breaker;
}

TEST(CircuitBreakerTest, StartsClosedAndAdmitsEverybody) {
    CircuitBreaker breaker(CircuitBreaker::Limits{});
    EXPECT_EQ(breaker.state(), BreakerState::closed);
    EXPECT_TRUE(breaker.try_acquire(kStart));
    EXPECT_TRUE(breaker.try_acquire(kStart));
}

TEST(CircuitBreakerTest, OpensAtTheFifthConsecutiveFailureAndNotBefore) {
    CircuitBreaker breaker(CircuitBreaker::Limits{});
    for (int i = 0; i < 4; ++i) breaker.failure(kStart);
    EXPECT_EQ(breaker.state(), BreakerState::closed);
    breaker.failure(kStart);
    EXPECT_EQ(breaker.state(), BreakerState::open);
    EXPECT_FALSE(breaker.try_acquire(kStart));
}

TEST(CircuitBreakerTest, ASuccessStartsTheCountAnew) {
    CircuitBreaker breaker(CircuitBreaker::Limits{});
    for (int i = 0; i < 4; ++i) breaker.failure(kStart);
    breaker.success(kStart);
    for (int i = 0; i < 4; ++i) breaker.failure(kStart);
    EXPECT_EQ(breaker.state(), BreakerState::closed);
}

TEST(CircuitBreakerTest, AdmitsOneProbeAtATimeAfterTheResetTimeout) {
    auto breaker = opened_at(kStart);
    EXPECT_EQ(breaker.probe_at(), kStart + 30s);
    EXPECT_FALSE(breaker.try_acquire(kStart + 30s - 1ns));
    EXPECT_TRUE(breaker.try_acquire(kStart + 30s));
    EXPECT_EQ(breaker.state(), BreakerState::half_open);
    EXPECT_FALSE(breaker.try_acquire(kStart + 30s))
        << "a second asker while the probe is under way";
    breaker.success(kStart + 31s);
    EXPECT_TRUE(breaker.try_acquire(kStart + 31s));
}

TEST(CircuitBreakerTest, ClosesAfterThreeSuccessfulProbes) {
    auto breaker = opened_at(kStart);
    for (int i = 0; i < 3; ++i) {
        ASSERT_NE(breaker.state(), BreakerState::closed);
        ASSERT_TRUE(breaker.try_acquire(kStart + 30s));
        breaker.success(kStart + 30s);
    }
    EXPECT_EQ(breaker.state(), BreakerState::closed);
}

TEST(CircuitBreakerTest, AFailedProbeOpensItAgainForAnotherTimeout) {
    auto breaker = opened_at(kStart);
    ASSERT_TRUE(breaker.try_acquire(kStart + 30s));
    breaker.failure(kStart + 32s);
    EXPECT_EQ(breaker.state(), BreakerState::open);
    EXPECT_FALSE(breaker.try_acquire(kStart + 61s));
    EXPECT_TRUE(breaker.try_acquire(kStart + 62s));
}

TEST(CircuitBreakerTest, ProbesBeforeAFailedOneDoNotCount) {
    auto breaker = opened_at(kStart);
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(breaker.try_acquire(kStart + 30s));
        breaker.success(kStart + 30s);
    }
    ASSERT_TRUE(breaker.try_acquire(kStart + 30s));
    breaker.failure(kStart + 30s);
    ASSERT_TRUE(breaker.try_acquire(kStart + 60s));
    breaker.success(kStart + 60s);
    EXPECT_EQ(breaker.state(), BreakerState::half_open);
}

TEST(CircuitBreakerTest, AnAbandonedProbeLetsTheNextOneIn) {
    auto breaker = opened_at(kStart);
    ASSERT_TRUE(breaker.try_acquire(kStart + 30s));
    breaker.abandon();
    EXPECT_TRUE(breaker.try_acquire(kStart + 30s));
}

TEST(CircuitBreakerTest, SwitchedOffItNeverRefuses) {
    CircuitBreaker breaker({.enabled = false});
    for (int i = 0; i < 50; ++i) breaker.failure(kStart);
    EXPECT_TRUE(breaker.try_acquire(kStart));
    EXPECT_EQ(breaker.state(), BreakerState::closed);
}

TEST(CircuitBreakerTest, ReportsEachTransitionOnce) {
    auto breaker = opened_at(kStart);
    auto transition = breaker.take_transition();
    ASSERT_TRUE(transition);
    EXPECT_EQ(transition->from, BreakerState::closed);
    EXPECT_EQ(transition->to, BreakerState::open);
    EXPECT_FALSE(breaker.take_transition());
}

}  // namespace
}  // namespace txstream::policy
