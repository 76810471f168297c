#include "relay/delivery_fixture.hpp"

namespace txstream::relay {
namespace {

using policy::BreakerState;

class DeliveryDelaysTest : public DeliveryTest {};

TEST_F(DeliveryDelaysTest, OnlyRecordsThatAreSentAgainSayTheAttempt) {
    read(1, {"a", "b"});
    read(2, {"c"});
    hand_over();
    EXPECT_EQ(kafka_.marked(), (Keys{"a", "b", "c"}));
    for (const auto* attempt : {"2", "3"}) {
        delivery_.lose(LaneId(2));
        delivery_.restart();
        hand_over();
        const auto again = std::string(" (") + attempt + " lane-lost)";
        EXPECT_EQ(kafka_.marked(), (Keys{"a" + again, "b" + again}));
        claim(2);
        read(2, {"c"});
        hand_over();
        EXPECT_EQ(kafka_.marked().back(), "c") << "who claims a lane knows nothing of before";
    }
    kafka_.report(Outcome::acknowledged);
    acknowledge_all();
    read(1, {"a"});
    hand_over();
    EXPECT_EQ(kafka_.marked(), Keys{"a"}) << "what was acknowledged is forgotten";
}

TEST_F(DeliveryDelaysTest, ARecordThatIsSentAgainSaysWhy) {
    const auto again = [&](const char* reason) {
        ASSERT_TRUE(delivery_.needs_restart());
        delivery_.restart();
        delivery_.pump();
        auto& side = kafka_.sent.empty() ? kafka_.careful : static_cast<FakeKafkaSide&>(kafka_);
        ASSERT_EQ(side.sent.size(), 1U);
        EXPECT_EQ(side.sent[0].marks.substr(2), reason);
        side.report(Outcome::acknowledged);
        acknowledge_all();
    };
    read(1, {"a"});
    hand_over();
    delivery_.take_back_stale();
    again("waited-too-long");
    read(1, {"a@b"}, 20);
    hand_over();
    kafka_.report(Outcome::refused_event, "INVALID_RECORD");
    again("record-refused");
    read(1, {"a"}, 30);
    hand_over();
    kafka_.give_up();
    again("producer-restart");
}

TEST_F(DeliveryDelaysTest, WhatWaitedWhileTheBreakerWasOpenIsLateAndWhatComesAfterIsNot) {
    read(1, {"a"});
    hand_over();
    kafka_.report(Outcome::retryable, "_TRANSPORT");
    ASSERT_EQ(breaker_.state(), BreakerState::open);
    delivery_.restart();
    // The probe's poll finds what was committed meanwhile.
    (void)delivery_.lanes_to_poll();
    read(1, {"b"}, 20);
    delivery_.pump();
    EXPECT_EQ(kafka_.marked(), (Keys{"a (2 kafka-unavailable)", "b (1 breaker-open)"}));
    kafka_.report(Outcome::acknowledged);
    EXPECT_EQ(breaker_.state(), BreakerState::open) << "it takes its time";
    breaker_.success(Delivery::Clock::now());
    acknowledge_all();
}

TEST_F(DeliveryDelaysTest, WhatWaitedForATopicIsLateAndNothingElse) {
    make([](Delivery::Limits& limits) { limits.in_flight_bytes_max = 1 << 20; });
    kafka_.unknown_topics = {"missing"};
    read(1, {"a", "k@missing", "k", "l@missing"});
    hand_over();
    EXPECT_EQ(kafka_.marked(), Keys{"a"});
    kafka_.report(Outcome::acknowledged);
    EXPECT_EQ(kafka_.careful.marked(), Keys{"k"});
    kafka_.careful.report(Outcome::refused_topic, "_UNKNOWN_TOPIC");
    EXPECT_EQ(kafka_.careful.marked(), Keys{"l (1 topic-refused)"});
    kafka_.careful.report(Outcome::acknowledged);
    EXPECT_EQ(kafka_.careful.marked(), Keys{"k (2 topic-refused)"});
    kafka_.careful.report(Outcome::acknowledged);
    EXPECT_EQ(kafka_.marked(), Keys{"k (1 topic-refused)"}) << "it waited behind one of its key";
    kafka_.report(Outcome::acknowledged);
    acknowledge_all();
    read(1, {"e"}, 40);
    hand_over();
    EXPECT_EQ(kafka_.marked(), Keys{"e"});
}

TEST_F(DeliveryDelaysTest, WhatIsReadWhileCursorsCannotBeMovedIsLate) {
    blockages_.set(2, Blockage::cannot_acknowledge, "a lock");
    (void)delivery_.lanes_to_poll();
    read(1, {"a"});
    hand_over();
    EXPECT_EQ(kafka_.marked(), Keys{"a (1 cannot-acknowledge)"});
    kafka_.report(Outcome::acknowledged);
    acknowledge_all();
    blockages_.clear(2, Blockage::cannot_acknowledge);
    (void)delivery_.lanes_to_poll();
    read(1, {"b"});
    claim(3);
    read(3, {"c"});
    hand_over();
    EXPECT_EQ(kafka_.marked(), (Keys{"b (1 cannot-acknowledge)", "c"})) << "the first look";
    kafka_.report(Outcome::acknowledged);
    acknowledge_all();
    read(1, {"d"});
    hand_over();
    EXPECT_EQ(kafka_.marked(), Keys{"d"});
}

TEST_F(DeliveryDelaysTest, WhatWaitsWhenALaneComesBackAfterTheDatabaseWasAwayIsLate) {
    delivery_.lose_all();
    blockages_.set(2, Blockage::database_unavailable, "the keeper's session");
    delivery_.look(Delivery::Clock::now());
    claim(3);
    blockages_.clear(2, Blockage::database_unavailable);
    delivery_.look(Delivery::Clock::now());
    for (const auto* expected : {"a (1 database-unavailable)", "a"}) {
        read(3, {"a"});
        hand_over();
        EXPECT_EQ(kafka_.marked(), Keys{expected});
        kafka_.report(Outcome::acknowledged);
        acknowledge_all();
    }
}

}  // namespace
}  // namespace txstream::relay
