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
    delivery_.lose(LaneId(2));
    delivery_.restart();
    for (const auto* attempt : {"2", "3"}) {
        read(1, {"a", "b", "new"});
        hand_over();
        const auto again = std::string(" (") + attempt + " lane-lost)";
        if (attempt[0] == '2')
            EXPECT_EQ(kafka_.marked(), (Keys{"a" + again, "b" + again, "new"}));
        else
            EXPECT_EQ(kafka_.marked(), (Keys{"a" + again, "b" + again, "new (2 lane-lost)"}));
        claim(2);
        read(2, {"c"});
        hand_over();
        EXPECT_EQ(kafka_.marked().back(), "c") << "who claims a lane knows nothing of before";
        delivery_.lose(LaneId(2));
        delivery_.restart();
    }
    read(1, {"a", "b", "new"});
    hand_over();
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
        read(1, {"a"});
        delivery_.pump();
        ASSERT_EQ(kafka_.sent.size(), 1U);
        EXPECT_EQ(kafka_.sent[0].marks.substr(2), reason);
    };
    read(1, {"a"});
    hand_over();
    delivery_.take_back_stale();
    again("waited-too-long");
    kafka_.blames_batch = true;
    kafka_.give_up();
    kafka_.report(Outcome::refused_event, "MSG_SIZE_TOO_LARGE");
    again("batch-refused");
    kafka_.blames_batch = false;
    kafka_.give_up();
    kafka_.report(Outcome::refused_event, "INVALID_RECORD");
    again("record-refused");
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
    read(1, {"a", "b"});
    delivery_.pump();
    EXPECT_EQ(kafka_.marked(), (Keys{"a (2 kafka-unavailable)", "b (1 breaker-open)"}));
    kafka_.report(Outcome::acknowledged);
    EXPECT_EQ(breaker_.state(), BreakerState::open) << "it takes its time";
    breaker_.success(Delivery::Clock::now());
    acknowledge_all();
}

TEST_F(DeliveryDelaysTest, WhatAHeldLaneHeldUpIsLateInItAndNowhereElse) {
    kafka_.unknown_topic_of = "b";
    read(1, {"a", "b"});
    hand_over();
    EXPECT_EQ(kafka_.marked(), Keys{"a"});
    kafka_.report(Outcome::acknowledged);
    acknowledge_all();
    kafka_.unknown_topic_of.clear();
    read(1, {"b"}, 11);
    read(2, {"c"});
    hand_over();
    EXPECT_EQ(kafka_.marked(), (Keys{"b (1 topic-refused)", "c"}));
    kafka_.report(Outcome::acknowledged);
    acknowledge_all();
    read(1, {"d"}, 30);
    hand_over();
    EXPECT_EQ(kafka_.marked(), Keys{"d (1 topic-refused)"}) << "committed while the lane was held";
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
