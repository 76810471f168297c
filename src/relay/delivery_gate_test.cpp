#include "relay/delivery_gate.hpp"

#include <gtest/gtest.h>

namespace txstream::relay {
namespace {

using namespace std::chrono_literals;
using State = DeliveryGate::State;
using policy::BreakerState;

class DeliveryGateTest : public testing::Test {
protected:
    DeliveryGate::Limits limits_{
        {.exponential = true, .base_delay = 1000ms, .max_delay = 30000ms, .multiplier = 2.0},
        30000ms,
        10000ms
    };
    SharedBreaker breaker_{
        {.failure_threshold = 5, .success_threshold = 3, .reset_timeout = 30000ms}, nullptr
    };
    DeliveryGate gate_{limits_, breaker_};
    DeliveryGate::Clock::time_point now_{DeliveryGate::Clock::time_point() + 1000h};
};

TEST_F(DeliveryGateTest, PausesGrowWithEachFailureInARow) {
    EXPECT_TRUE(gate_.may_send(now_));
    gate_.sent(now_);
    for (int i = 0; i < 4; ++i) {
        const auto failure = gate_.failed(now_, 0.5);
        ASSERT_TRUE(failure);
        EXPECT_EQ(failure->retry, static_cast<unsigned>(i + 1));
        EXPECT_EQ(failure->delay, 1000ms * (1 << i));
        EXPECT_FALSE(gate_.may_send(now_ + failure->delay - 1ms));
        now_ += failure->delay;
        EXPECT_FALSE(gate_.may_send(now_) && gate_.state() == State::flowing)
            << "a probe, not a flood";
        EXPECT_EQ(gate_.state(), State::probing);
    }
}

TEST_F(DeliveryGateTest, OneOutageIsOneFailureHoweverManyTellOfIt) {
    EXPECT_TRUE(gate_.failed(now_, 0.5));
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(gate_.failed(now_, 0.5));
    EXPECT_EQ(breaker_.state(), BreakerState::closed);
}

TEST_F(DeliveryGateTest, AnOpenBreakerIsAskedOnlyWhenItsTimeHasCome) {
    gate_.sent(now_);
    for (int i = 0; i < 5; ++i) {
        const auto failure = gate_.failed(now_, 0.5);
        ASSERT_TRUE(failure);
        now_ += failure->delay;
        (void)gate_.may_send(now_);
    }
    ASSERT_EQ(breaker_.state(), BreakerState::open);
    EXPECT_FALSE(gate_.may_send(now_));
    now_ = *breaker_.probe_at();
    EXPECT_FALSE(gate_.may_send(now_)) << "what is in flight already is the probe";
    EXPECT_EQ(breaker_.state(), BreakerState::half_open);
}

TEST_F(DeliveryGateTest, ThreeProbesCloseTheBreaker) {
    for (int i = 0; i < 5; ++i) {
        breaker_.failure(now_);
    }
    ASSERT_EQ(breaker_.state(), BreakerState::open);
    now_ += 30000ms;
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(gate_.may_send(now_)) << i;
        EXPECT_EQ(gate_.state(), State::probing);
        gate_.sent(now_);
        EXPECT_FALSE(gate_.may_send(now_)) << "nothing else moves during a probe";
        gate_.acknowledged(now_, false);
    }
    EXPECT_EQ(breaker_.state(), BreakerState::closed);
    EXPECT_TRUE(gate_.may_send(now_));
    EXPECT_EQ(gate_.state(), State::flowing);
}

TEST_F(DeliveryGateTest, OnlyOneOfTwoWorkersProbes) {
    DeliveryGate other(limits_, breaker_);
    for (int i = 0; i < 5; ++i) breaker_.failure(now_);
    now_ += 30000ms;
    EXPECT_TRUE(gate_.may_send(now_));
    EXPECT_FALSE(other.may_send(now_));
    EXPECT_GT(*other.ask_again_at(), now_);
    gate_.leave();
    EXPECT_TRUE(other.may_send(now_ + 1s)) << "a worker that ends gives its probe to others";
}

TEST_F(DeliveryGateTest, AProbeWhoseEventsAreForgottenIsGivenBack) {
    DeliveryGate other(limits_, breaker_);
    for (int i = 0; i < 5; ++i) breaker_.failure(now_);
    now_ += 30000ms;
    ASSERT_TRUE(gate_.may_send(now_));
    gate_.sent(now_);
    EXPECT_FALSE(other.may_send(now_));
    gate_.forgotten();
    EXPECT_TRUE(other.may_send(now_ + 1s)) << "its lanes are lost: nothing would ever be reported";
}

TEST_F(DeliveryGateTest, AProbeGoesOnReadingUntilItHasSentSomething) {
    (void)gate_.failed(now_, 0.0);
    now_ += 1h;
    ASSERT_TRUE(gate_.may_send(now_));
    EXPECT_TRUE(gate_.may_send(now_)) << "the first statement found only how large the window is";
    gate_.sent(now_);
    EXPECT_FALSE(gate_.may_send(now_));
}

TEST_F(DeliveryGateTest, AProbeThatFindsNothingWaitsForTheFirstEventAndNotInALoop) {
    (void)gate_.failed(now_, 0.0);
    now_ += 1h;
    ASSERT_TRUE(gate_.may_send(now_));
    gate_.nothing_sent();
    EXPECT_EQ(gate_.state(), State::flowing);
    EXPECT_FALSE(gate_.ask_again_at());
    EXPECT_FALSE(gate_.failed(now_, 0.0)) << "nothing was tried: the same outage";
    EXPECT_TRUE(gate_.may_send(now_));
    EXPECT_EQ(gate_.state(), State::probing) << "what comes first is the probe";
}

TEST_F(DeliveryGateTest, SilenceIsAFailureAfterTheTimeout) {
    EXPECT_FALSE(gate_.times_out_at()) << "nothing in flight";
    gate_.sent(now_);
    EXPECT_EQ(*gate_.times_out_at(), now_ + 30000ms);
    gate_.acknowledged(now_ + 1s, true);
    EXPECT_EQ(*gate_.times_out_at(), now_ + 31s) << "each acknowledgement starts the wait anew";
    gate_.acknowledged(now_ + 2s, false);
    EXPECT_FALSE(gate_.times_out_at());
}

TEST_F(DeliveryGateTest, WhatIsHandedOverDoesNotPutOffTheTimeoutOfWhatWasBefore) {
    gate_.sent(now_);
    gate_.sent(now_ + 20s);
    EXPECT_EQ(*gate_.times_out_at(), now_ + 30s);
}

TEST_F(DeliveryGateTest, WhatIsInFlightHasTheProbesTimeAnewAndNoneDuringThePause) {
    gate_.sent(now_);
    ASSERT_TRUE(gate_.failed(now_ + 30s, 0.5));
    EXPECT_FALSE(gate_.times_out_at()) << "the reader would run in a loop";
    EXPECT_FALSE(gate_.may_send(now_ + 60s));
    ASSERT_EQ(gate_.state(), State::probing);
    EXPECT_EQ(*gate_.times_out_at(), now_ + 70s);
}

TEST_F(DeliveryGateTest, OneProofIsEnough) {
    gate_.doubted();
    ASSERT_TRUE(gate_.may_send(now_));
    ASSERT_EQ(gate_.state(), State::probing);
    gate_.sent(now_);
    gate_.acknowledged(now_, false);
    EXPECT_TRUE(gate_.may_send(now_));
    EXPECT_EQ(gate_.state(), State::flowing);
}

TEST_F(DeliveryGateTest, WhoseProbeIsOverTakesNobodyElsesAlong) {
    for (const bool is_good : {false, true}) {
        DeliveryGate first(limits_, breaker_);
        DeliveryGate second(limits_, breaker_);
        DeliveryGate third(limits_, breaker_);
        for (int i = 0; i < 5; ++i) breaker_.failure(now_);
        now_ += 30s;
        ASSERT_TRUE(first.may_send(now_));
        first.sent(now_);
        if (is_good) {
            first.acknowledged(now_, false);
        } else {
            ASSERT_TRUE(first.failed(now_, 0.5));
        }
        now_ += 30s;
        ASSERT_TRUE(second.may_send(now_));
        first.leave();
        EXPECT_FALSE(third.may_send(now_)) << "the second probes";
        second.leave();
    }
}

TEST_F(DeliveryGateTest, ALateAcknowledgementEndsThePause) {
    gate_.sent(now_);
    ASSERT_TRUE(gate_.failed(now_, 0.5));
    gate_.acknowledged(now_, false);
    EXPECT_TRUE(gate_.may_send(now_));
    EXPECT_EQ(gate_.failed(now_, 0.5)->retry, 1U) << "the row of failures is over";
}

}  // namespace
}  // namespace txstream::relay
