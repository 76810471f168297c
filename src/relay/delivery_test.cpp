#include "relay/delivery_fixture.hpp"
#include "tests/support/cloud_events.hpp"

namespace txstream::relay {
namespace {

using namespace std::chrono_literals;
using policy::BreakerState;

TEST_F(DeliveryTest, AProducerThatGivesUpAndDoesNotSayForWhomIsAFailure) {
    read(1, {"a"});
    hand_over();
    kafka_.give_up();
    EXPECT_EQ(breaker_.state(), BreakerState::closed) << "the report is on its way";
    delivery_.restart();
    EXPECT_EQ(gate_.state(), DeliveryGate::State::paused);
    EXPECT_EQ(breaker_.state(), BreakerState::open);
}

TEST_F(DeliveryTest, AnEventThatTheProducerCannotTakeIsParkedAndTheNextGoes) {
    kafka_.refuses = Error(Code::rejected, "too large", "MSG_SIZE_TOO_LARGE");
    read(1, {"a"});
    hand_over();
    EXPECT_TRUE(delivery_.has_acknowledgements());
    const auto done = delivery_.take_acknowledgements();
    ASSERT_EQ(done.size(), 1U);
    ASSERT_EQ(done[0].parked.size(), 1U);
    EXPECT_EQ(done[0].parked[0].error_class, "MSG_SIZE_TOO_LARGE");
    EXPECT_FALSE(delivery_.needs_restart());
    kafka_.refuses.reset();
    read(2, {"c"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys{"c"});
}

// A page that is set aside is made smaller: it keeps each text of what waits.
TEST_F(DeliveryTest, RecordsHaveTheFormOfTheFormatAlsoWhenTheyHaveWaited) {
    const tests::CloudEvents cloud_events;
    const auto headers_of = [](const std::string& id, const std::string& key) {
        return "ce_specversion=1.0;ce_id=11111111-1111-1111-0000-0000000000" + id +
               ";ce_source=/outbox/Test;ce_type=Tested;ce_subject=" + key +
               ";ce_time=2023-11-14T22:13:20Z;content-type=application/json;";
    };
    format_ = &cloud_events;
    make([](auto&) {});
    auto& delivery = *made_;
    std::vector<tests::FakeEvent> events(3);
    for (std::int16_t i = 0; i < 3; ++i) {
        auto& event = events[std::size_t(i)];
        event.id = 10 + i;
        event.lane = 1;
        event.aggregate_id = "order-" + std::to_string(i);
        event.payload = std::to_string(i);
    }
    events[1].topic = "closed";
    add_page(delivery, 1, events, snapshot(20));
    ASSERT_TRUE(gate_.may_send(Delivery::Clock::now()));
    delivery.pump();
    // A topic of its own is looked up first.
    ASSERT_EQ(kafka_.keys(), (Keys{"order-0", "order-2", "order-1"}));
    EXPECT_EQ(kafka_.sent[0].value, "0");
    EXPECT_EQ(kafka_.sent[0].headers, headers_of("0a", "order-0"));
    kafka_.report_each([](const FakeKafka::Sent& one) {
        using Verdict = std::pair<Outcome, std::string_view>;
        return one.topic == "closed" ? Verdict(Outcome::refused_topic, "TOPIC_AUTHORIZATION_FAILED")
                                     : Verdict(Outcome::acknowledged, "");
    });
    delivery.pump();
    ASSERT_EQ(kafka_.careful.keys(), Keys{"order-1"});
    kafka_.careful.report(Outcome::refused_topic, "TOPIC_AUTHORIZATION_FAILED");
    delivery.pump();
    ASSERT_EQ(kafka_.careful.keys(), Keys{"order-1"});
    const auto& late = kafka_.careful.sent[0];
    EXPECT_EQ(late.value, "1");
    EXPECT_EQ(late.headers, headers_of("0b", "order-1"));
}

TEST_F(DeliveryTest, AFullProducerIsNoFailureAndTheRestGoesAfterAReport) {
    read(1, {"a"});
    hand_over();
    kafka_.refuses = Error(Code::overloaded, "full");
    read(2, {"c"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys{"a"});
    kafka_.refuses.reset();
    kafka_.report(Outcome::acknowledged);
    EXPECT_EQ(kafka_.keys(), Keys{"c"});
    EXPECT_EQ(breaker_.state(), BreakerState::closed);
    EXPECT_EQ(kafka_.producers, 1);
}

TEST_F(DeliveryTest, NothingOfALaneLeavesPastItsTimeBeforeItIsProlonged) {
    const std::vector<LaneId> both{LaneId(1), LaneId(2)};
    delivery_.renewed(both, Delivery::Clock::now());
    read(1, {"a"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys());
    delivery_.renewed(both, Delivery::Clock::now() + 1h);
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys{"a"});
}

TEST_F(DeliveryTest, InDoubtNothingIsReadBeforeTheOlderSessionAnswered) {
    delivery_.machine(LaneId(1)).begin_paging(snapshot(20), EventSeq(1));
    delivery_.doubt();
    for (const auto answered : std::vector<std::uint64_t>{0, 1}) {
        delivery_.trust(answered);
        EXPECT_EQ(delivery_.lanes_to_poll().empty(), answered == 0);
        EXPECT_EQ(delivery_.group_to_page().has_value(), answered == 1);
    }
}

TEST_F(DeliveryTest, AfterTheLanesWereGivenBackNothingLeaves) {
    read(1, {"a", "b"});
    delivery_.close();
    read(2, {"c"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys());
    EXPECT_EQ(kafka_.producers, 1) << "nor is another producer made";
}

TEST_F(DeliveryTest, WhatIsQueuedDoesNotLeaveAfterTheLanesWereGivenBack) {
    read(1, {"a"});
    hand_over();
    delivery_.close();
    EXPECT_EQ(kafka_.keys(), Keys());
}

TEST_F(DeliveryTest, WhatIsQueuedOfALostLaneDoesNotLeave) {
    read(1, {"a"});
    hand_over();
    delivery_.lose(LaneId(1));
    EXPECT_EQ(kafka_.keys(), Keys()) << "the reader may wait for a database that hangs";
    EXPECT_TRUE(delivery_.needs_restart());
}

TEST_F(DeliveryTest, ALostLaneLeavesTheRoomOfItsPagesToOthers) {
    read(1, {"a"});
    EXPECT_FALSE(delivery_.has_room());
    delivery_.lose(LaneId(1));
    EXPECT_TRUE(delivery_.has_room());
    EXPECT_FALSE(delivery_.needs_restart()) << "nothing of it was handed over";
}

TEST_F(DeliveryTest, WithoutRoomAnAcknowledgementIsUrgentAndMakesRoom) {
    read(1, {"a"});
    hand_over();
    kafka_.report(Outcome::acknowledged);
    EXPECT_FALSE(delivery_.has_room());
    EXPECT_TRUE(delivery_.is_acknowledgement_urgent());
    for (const auto& one : delivery_.take_acknowledgements()) delivery_.acknowledged(one);
    EXPECT_TRUE(delivery_.has_room());
    EXPECT_FALSE(delivery_.is_acknowledgement_urgent());
}

// It would be somewhere else than the others, and need a row of its own.
TEST_F(DeliveryTest, ALaneWithMoreInFlightIsAcknowledgedWhereAllAre) {
    read(1, {"a"});
    hand_over();
    kafka_.report(Outcome::acknowledged);
    read(1, {"b"}, 11);
    hand_over();
    EXPECT_EQ(delivery_.unrecorded(), 1U);
    EXPECT_TRUE(delivery_.take_acknowledgements(false).empty());
    EXPECT_EQ(delivery_.take_acknowledgements(true).size(), 1U);
}

TEST_F(DeliveryTest, OfLanesOfWhichNothingWasTakenThePositionIsKnown) {
    read(1, {"a"});
    read(2, {"b"});
    hand_over();
    ASSERT_EQ(delivery_.positions(true).size(), 2U);
    EXPECT_EQ(delivery_.positions(true)[0].cursor, snapshot(10));
    EXPECT_TRUE(delivery_.positions(false).empty()) << "none is idle";
    claim(3);
    ASSERT_EQ(delivery_.positions(false).size(), 1U);
    EXPECT_EQ(delivery_.positions(false)[0].lane, LaneId(3));
}

TEST_F(DeliveryTest, ALaneThatIsLostDuringItsAcknowledgementHoldsUpNoRestart) {
    read(1, {"a"});
    hand_over();
    kafka_.report(Outcome::acknowledged);
    ASSERT_EQ(delivery_.take_acknowledgements().size(), 1U);
    ASSERT_TRUE(delivery_.is_acknowledging());
    delivery_.lose(LaneId(1));
    EXPECT_FALSE(delivery_.is_acknowledging());
}

TEST_F(DeliveryTest, NobodyWaitsForReportsOfAProducerThatWasEnded) {
    read(1, {"a"});
    hand_over();
    ASSERT_TRUE(gate_.times_out_at());
    delivery_.lose(LaneId(1));
    delivery_.restart();
    EXPECT_FALSE(gate_.times_out_at());
}

TEST_F(DeliveryTest, WhatWaitsTooLongInTheProducerIsTakenBackAndSentAgain) {
    kafka_.waiting_max = 1h;
    EXPECT_FALSE(delivery_.stale_at());
    const auto before = Delivery::Clock::now();
    read(1, {"a"});
    EXPECT_FALSE(delivery_.stale_at()) << "nothing is in flight";
    hand_over();
    ASSERT_TRUE(delivery_.stale_at());
    EXPECT_GE(*delivery_.stale_at(), before + 1h);
    delivery_.take_back_stale();
    ASSERT_TRUE(delivery_.needs_restart());
    delivery_.restart();
    EXPECT_EQ(kafka_.keys(), Keys());
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys{"a"});
    EXPECT_GE(*delivery_.stale_at(), before + 1h);
    kafka_.report(Outcome::acknowledged);
    EXPECT_FALSE(delivery_.stale_at());
    EXPECT_EQ(breaker_.state(), BreakerState::closed);
}

TEST_F(DeliveryTest, AProducerThatIsReadyAgainIsHandedWhatWaits) {
    kafka_.refuses = Error(Code::overloaded, "the topic's limits are being looked up");
    read(1, {"a", "b"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys());
    EXPECT_FALSE(delivery_.has_room()) << "so that the reader hands over nothing";
    kafka_.refuses.reset();
    kafka_.events.ready();
    EXPECT_EQ(kafka_.keys(), (Keys{"a", "b"}));
}

TEST_F(DeliveryTest, WhatAnOpenBreakerHoldsIsHeldByKafkaUntilItCloses) {
    read(1, {"a", "b"});
    hand_over();
    kafka_.events.brokers_down(Error(Code::unavailable, "down"));
    ASSERT_EQ(breaker_.state(), BreakerState::open);
    kafka_.report(Outcome::acknowledged);
    EXPECT_TRUE(blockages_.contains(Blockage::kafka_unavailable)) << "a late acknowledgement";
    EXPECT_FALSE(gate_.may_send(Delivery::Clock::now()));
    delivery_.look(Delivery::Clock::now());
    EXPECT_TRUE(blockages_.contains(Blockage::kafka_unavailable));
    const auto later = Delivery::Clock::now() + 2h;
    EXPECT_TRUE(gate_.may_send(later)) << "a probe";
    read(2, {"c"});
    delivery_.pump();
    kafka_.report(Outcome::acknowledged);
    EXPECT_EQ(breaker_.state(), BreakerState::closed);
    EXPECT_FALSE(blockages_.contains(Blockage::kafka_unavailable));
}

TEST_F(DeliveryTest, WhatOnePumpHandsOverIsOneBatch) {
    read(1, {"a", "b"});
    read(2, {"c"});
    hand_over();
    delivery_.pump();
    EXPECT_EQ(kafka_.calls, (Keys{"begin", "a", "b", "c", "commit"})) << "and none is empty";
    EXPECT_EQ(kafka_.careful.calls, Keys{});
}

TEST_F(DeliveryTest, ABatchWhoseProducerMustEndIsAborted) {
    read(1, {"a"});
    hand_over();
    kafka_.calls.clear();
    kafka_.refuses = Error(Code::unavailable, "broken");
    read(1, {"b"}, 12);
    delivery_.pump();
    EXPECT_EQ(kafka_.calls, (Keys{"begin", "abort"}));
    EXPECT_TRUE(blockages_.contains(Blockage::kafka_unavailable));
}

TEST_F(DeliveryTest, ABatchThatCannotBeginSendsNothingAndEndsTheProducer) {
    kafka_.breaks_at = "begin";
    read(1, {"a"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys{});
    EXPECT_TRUE(delivery_.needs_restart());
    EXPECT_TRUE(blockages_.contains(Blockage::kafka_unavailable));
}

TEST_F(DeliveryTest, ABatchThatCannotBeCommittedIsSentAgainByAnotherProducer) {
    kafka_.breaks_at = "commit";
    read(1, {"a"});
    hand_over();
    EXPECT_TRUE(delivery_.needs_restart());
    kafka_.breaks_at.clear();
    delivery_.restart();
    ASSERT_TRUE(gate_.may_send(Delivery::Clock::now() + 2h));
    delivery_.pump();
    EXPECT_EQ(kafka_.keys(), Keys{"a"});
    EXPECT_EQ(kafka_.producers, 2);
}

TEST_F(DeliveryTest, BrokersThatCloseIdleConnectionsAreNoFailure) {
    kafka_.events.brokers_down(Error(Code::unavailable, "idle"));
    EXPECT_EQ(breaker_.state(), BreakerState::closed);
    read(1, {"a"});
    hand_over();
    EXPECT_EQ(gate_.state(), DeliveryGate::State::probing) << "the next events are a probe";
    EXPECT_EQ(kafka_.keys(), Keys{"a"});
    kafka_.events.brokers_down(Error(Code::unavailable, "down"));
    EXPECT_EQ(breaker_.state(), BreakerState::open);
}

}  // namespace
}  // namespace txstream::relay
