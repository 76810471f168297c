#include "relay/delivery_fixture.hpp"

// What operators pause.
namespace txstream::relay {
namespace {

using namespace std::chrono_literals;
using Scope = outbox::Pause::Scope;

class DeliveryPausesTest : public DeliveryTest {
protected:
    DeliveryPausesTest() {
        make([](auto& limits) { limits.in_flight_bytes_max = 1U << 20U; });
    }
    void pause(std::vector<outbox::Pause> all) {
        delivery_.pause(std::move(all), Delivery::Clock::now());
    }
    bool is_told() {
        delivery_.look(Delivery::Clock::now());
        return blockages_.contains(Blockage::paused);
    }
};

TEST_F(DeliveryPausesTest, WhereEverythingIsPausedNothingIsReadSentOrParked) {
    read(1, {"a"});
    pause({{Scope::everything, "", "an upgrade"}});
    hand_over();
    EXPECT_TRUE(kafka_.keys().empty());
    EXPECT_TRUE(delivery_.lanes_to_poll().empty());
    EXPECT_TRUE(parked().empty());
    EXPECT_TRUE(is_told());
    EXPECT_EQ(blockages_.current().at(0).detail, "everything (an upgrade)");
    pause({});
    EXPECT_EQ(kafka_.keys(), Keys{"a"}) << "at once";
    EXPECT_FALSE(delivery_.lanes_to_poll().empty());
    EXPECT_FALSE(is_told());
}

TEST_F(DeliveryPausesTest, APausedTopicHoldsItsEventsWithTheirKeysAndNoStranger) {
    pause({{Scope::topic, "p", "it moves"}});
    read(1, {"a@p", "a", "b@p", "stranger"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys{"stranger"});
    EXPECT_TRUE(kafka_.careful.keys().empty()) << "it is not tried either";
    EXPECT_FALSE(delivery_.lanes_to_poll().empty());
    EXPECT_TRUE(is_told());
    EXPECT_FALSE(blockages_.contains(Blockage::topic_refused)) << "it is nobody's fault";
    pause({});
    EXPECT_EQ(kafka_.marked(), (Keys{"stranger", "a (1 paused)", "a (1 paused)", "b (1 paused)"}));
}

TEST_F(DeliveryPausesTest, WhatAPauseParksHoldsItsKeyAlsoWhereItWouldBeSkipped) {
    skip_ = SkipPolicy({"p"}, {"Tested"});
    make([](auto& limits) {
        limits.in_flight_bytes_max = 1U << 20U;
        limits.topics.patience = 0ms;
    });
    pause({{Scope::topic, "p", "it moves"}});
    read(1, {"a@p", "a"});
    hand_over();
    const auto aside = parked();
    ASSERT_EQ(aside.size(), 2U);
    EXPECT_TRUE(aside[0].holds);
    EXPECT_EQ(aside[1].error_class, "held");
}

TEST_F(DeliveryPausesTest, APauseThatIsLongerThanThePatienceParksWithoutAnAttempt) {
    make([](auto& limits) {
        limits.in_flight_bytes_max = 1U << 20U;
        limits.topics.patience = 0ms;
    });
    pause({{Scope::topic, "p", "it moves"}});
    read(1, {"a@p", "a"});
    hand_over();
    const auto aside = parked();
    ASSERT_EQ(aside.size(), 2U);
    EXPECT_EQ(aside[0].error_class, "paused");
    EXPECT_TRUE(aside[0].waits);
    EXPECT_EQ(aside[0].attempts, 0);
    EXPECT_EQ(aside[1].error_class, "held");
    pause({});
    read(1, {"b@p"}, 50);
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys{"b"});
}

TEST_F(DeliveryPausesTest, WhereTheUsualTopicIsPausedNothingIsReadOrParked) {
    make([](auto& limits) { limits.topics.patience = 0ms; });
    pause({{Scope::topic, "t", "an upgrade"}});
    read(1, {"a", "b"});
    hand_over();
    EXPECT_TRUE(kafka_.keys().empty());
    EXPECT_TRUE(parked().empty());
    EXPECT_TRUE(delivery_.lanes_to_poll().empty());
    delivery_.lose(LaneId(1));
    EXPECT_TRUE(delivery_.lanes_to_poll().empty()) << "nor to try it";
    EXPECT_TRUE(is_told());
    EXPECT_FALSE(blockages_.contains(Blockage::topic_missing));
}

TEST_F(DeliveryPausesTest, APausedKeyIsParkedBehindWhatIsOnItsWay) {
    read(1, {"k"});
    hand_over();
    pause({{Scope::key, "k", "asked by support"}});
    read(1, {"k", "l", "k"}, 50);
    hand_over();
    EXPECT_EQ(kafka_.keys(), (Keys{"k", "l"}));
    EXPECT_TRUE(parked().empty()) << "the first may come back";
    kafka_.report(Outcome::acknowledged);
    hand_over();
    EXPECT_TRUE(parked().empty()) << "the page before is written first";
    const auto aside = parked();
    ASSERT_EQ(aside.size(), 2U);
    EXPECT_EQ(aside[0].error_class, "paused");
    EXPECT_TRUE(aside[0].waits);
    EXPECT_EQ(aside[1].error_class, "held");
    EXPECT_TRUE(delivery_.is_idle());
}

}  // namespace
}  // namespace txstream::relay
