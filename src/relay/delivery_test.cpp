#include "relay/delivery_fixture.hpp"

namespace txstream::relay {
namespace {

using namespace std::chrono_literals;
using policy::BreakerState;

TEST_F(DeliveryTest, WhatWasRefusedTogetherGoesAloneInTheWholeWorker) {
    const auto read_all = [&] {
        read(1, {"a", "b"});
        read(2, {"c", "d"});
        hand_over();
    };
    read_all();
    ASSERT_EQ(kafka_.keys(), (Keys{"a", "b", "c", "d"}));
    kafka_.give_up();
    kafka_.report(Outcome::refused_event, "INVALID_TIMESTAMP");
    ASSERT_TRUE(delivery_.needs_restart());
    delivery_.restart();
    read_all();
    for (const char* innocent : {"a", "b", "c"}) {
        EXPECT_EQ(kafka_.keys(), Keys{innocent});
        kafka_.report(Outcome::acknowledged);
    }
    EXPECT_EQ(kafka_.keys(), Keys{"d"});
    kafka_.report(Outcome::refused_event, "INVALID_TIMESTAMP");
    delivery_.restart();
    read_all();
    for (const char* innocent : {"a", "b", "c"}) {
        EXPECT_EQ(kafka_.keys(), Keys{innocent});
        kafka_.report(Outcome::acknowledged);
    }
    EXPECT_EQ(kafka_.keys(), Keys()) << "the guilty one is parked";
    std::size_t parked = 0;
    for (const auto& one : delivery_.take_acknowledgements()) parked += one.parked.size();
    EXPECT_EQ(parked, 1U);
    EXPECT_EQ(breaker_.state(), BreakerState::closed) << "an event's fault, not Kafka's";
}

TEST_F(DeliveryTest, ASuspectWaitsUntilNothingElseIsInFlight) {
    read(1, {"a"});
    hand_over();
    kafka_.report(Outcome::refused_event, "INVALID_RECORD");
    delivery_.restart();
    read(2, {"c", "d"});
    hand_over();
    read(1, {"a"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), (Keys{"c", "d"}));
    kafka_.report(Outcome::acknowledged);
    EXPECT_EQ(kafka_.keys(), Keys{"a"});
}

// What is parked is settled without Kafka: the suspect behind it comes up while others are sent.
TEST_F(DeliveryTest, ASuspectBehindAParkedEventGoesAloneToo) {
    for (const auto lane : std::vector<std::int16_t>{0, 3}) {
        claim(lane, {"held"});
        read(lane, {"held", "s"});
        hand_over();
        ASSERT_EQ(kafka_.keys(), Keys{"s"});
        kafka_.report(Outcome::refused_event, "INVALID_RECORD");
        delivery_.restart();
        read(1, {"a"});
        read(lane, {"held", "s"});
        hand_over();
        const auto first = kafka_.keys();
        kafka_.report(Outcome::acknowledged);
        const auto second = kafka_.keys();
        kafka_.report(Outcome::acknowledged);
        EXPECT_EQ(first, Keys{lane == 0 ? "s" : "a"});
        EXPECT_EQ(second, Keys{lane == 0 ? "a" : "s"});
        delivery_.lose(LaneId(lane));
        delivery_.restart();
    }
}

TEST_F(DeliveryTest, AProducerThatGivesUpAndDoesNotSayForWhomIsAFailure) {
    read(1, {"a"});
    hand_over();
    kafka_.give_up();
    EXPECT_EQ(breaker_.state(), BreakerState::closed) << "the report is on its way";
    delivery_.restart();
    EXPECT_EQ(gate_.state(), DeliveryGate::State::paused);
    EXPECT_EQ(breaker_.state(), BreakerState::open);
}

TEST_F(DeliveryTest, WhatWasRefusedIsNotTriedInAHotLoop) {
    const auto began = Delivery::Clock::now();
    read(1, {"a"});
    hand_over();
    kafka_.give_up();
    EXPECT_GE(delivery_.restart_at(), began + kGrace) << "the reports are on their way";
    kafka_.report(Outcome::refused_event, "INVALID_RECORD");
    EXPECT_GE(delivery_.restart_at(), began + kRefusedDelay);
}

TEST_F(DeliveryTest, ATopicThatTakesNothingHoldsItsLaneAndNobodyElse) {
    read(1, {"a"});
    hand_over();
    kafka_.give_up();
    kafka_.report(Outcome::refused_topic, "_UNKNOWN_TOPIC");
    ASSERT_TRUE(delivery_.needs_restart());
    delivery_.restart();
    EXPECT_EQ(breaker_.state(), BreakerState::closed);
    const auto groups = delivery_.lanes_to_poll();
    ASSERT_EQ(groups.size(), 1U);
    EXPECT_EQ(groups.begin()->second.lanes, std::vector<LaneId>{LaneId(2)});
    delivery_.machine(LaneId(1)).begin_paging(snapshot(20), EventSeq(1));
    EXPECT_FALSE(delivery_.group_to_page()) << "nor is it read page by page";
    read(2, {"c"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys{"c"});
}

TEST_F(DeliveryTest, TryingATopicAgainSendsNothingTwice) {
    read(1, {"a", "b", "c"});
    hand_over();
    kafka_.report_without_topic("b");
    ASSERT_TRUE(delivery_.needs_restart()) << "what went after it goes again after it";
    delivery_.restart();
    read(1, {"a", "b", "c"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys{"a"}) << "it goes alone in its lane";
    read(2, {"d"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), (Keys{"a", "d"})) << "other lanes go on";
    kafka_.report(Outcome::acknowledged);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(kafka_.keys(), Keys{"b"});
        kafka_.report(Outcome::refused_topic, "_UNKNOWN_TOPIC");
        EXPECT_FALSE(delivery_.needs_restart());
        expect_published_before(1, 11);
        read(1, {"b", "c"}, 11);
        hand_over();
    }
    kafka_.report(Outcome::acknowledged);
    EXPECT_EQ(kafka_.keys(), Keys{"c"});
    kafka_.report(Outcome::acknowledged);
    acknowledge_all();
    EXPECT_TRUE(delivery_.is_idle());
    EXPECT_EQ(gate_.state(), DeliveryGate::State::flowing);
    EXPECT_EQ(gate_.times_out_at(), std::nullopt) << "nothing is in flight";
    EXPECT_EQ(kafka_.producers, 2);
}

TEST_F(DeliveryTest, WhatWasSentBeforeATopicKnownToBeMissingIsStillAcknowledged) {
    kafka_.unknown_topic_of = "b";
    read(1, {"a", "b", "c"});
    read(1, {"d"}, 20);
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys{"a"});
    EXPECT_FALSE(delivery_.needs_restart());
    EXPECT_FALSE(delivery_.group_to_page()) << "its lane waits";
    kafka_.report(Outcome::acknowledged);
    expect_published_before(1, 11);
    EXPECT_TRUE(delivery_.is_idle());
    read(1, {"b", "c"}, 11);
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys()) << "nothing passes it";
    expect_published_before(1, 11);
    kafka_.unknown_topic_of.clear();
    read(1, {"b", "c"}, 11);
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys{"b"});
    EXPECT_EQ(kafka_.producers, 1);
}

TEST_F(DeliveryTest, OfSeveralMissingTopicsTheFirstHoldsTheLaneUntilItIsThere) {
    read(1, {"a", "b", "c", "d"});
    hand_over();
    kafka_.report(Outcome::refused_topic, "_UNKNOWN_TOPIC");
    delivery_.restart();
    read(1, {"a", "b", "c", "d"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys{"a"}) << "not the last of them";
    kafka_.report(Outcome::acknowledged);
    EXPECT_EQ(kafka_.keys(), (Keys{"b", "c", "d"})) << "a topic is there now";
    kafka_.report_without_topic("c");
    ASSERT_TRUE(delivery_.needs_restart());
    delivery_.restart();
    read(1, {"a", "b", "c", "d"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), (Keys{"a", "b"})) << "the next one is its turn";
    kafka_.report(Outcome::acknowledged);
    EXPECT_EQ(kafka_.keys(), Keys{"c"});
    kafka_.report(Outcome::refused_topic, "_UNKNOWN_TOPIC");
    expect_published_before(1, 12);
}

TEST_F(DeliveryTest, ATopicThatIsMissingForTheLastOfAPageTakesNothingElseBack) {
    read(1, {"a", "b"});
    hand_over();
    const auto of_a = kafka_.sent.front();
    kafka_.sent.erase(kafka_.sent.begin());
    kafka_.report(Outcome::refused_topic, "_UNKNOWN_TOPIC");
    EXPECT_FALSE(delivery_.needs_restart());
    EXPECT_FALSE(delivery_.has_acknowledgements()) << "the report of what went before is missing";
    kafka_.sent.push_back(of_a);
    kafka_.report(Outcome::acknowledged);
    expect_published_before(1, 11);
}

TEST_F(DeliveryTest, ATopicThatIsThereAgainWaitsForNoAcknowledgementInTheTable) {
    read(1, {"a", "b"});
    hand_over();
    const auto of_a = kafka_.sent.front();
    kafka_.sent.erase(kafka_.sent.begin());
    kafka_.report(Outcome::refused_topic, "_UNKNOWN_TOPIC");
    read(1, {"b"}, 11);
    hand_over();
    kafka_.sent.push_back(of_a);
    kafka_.report(Outcome::acknowledged);
    EXPECT_EQ(kafka_.keys(), Keys{"b"});
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

TEST_F(DeliveryTest, AfterTheLanesWereGivenBackNoSuspectLeavesEither) {
    read(1, {"a"});
    hand_over();
    kafka_.report(Outcome::refused_event, "INVALID_RECORD");
    delivery_.restart();
    delivery_.close();
    read(1, {"a"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys());
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

TEST_F(DeliveryTest, ABatchThatIsTooLargeIsNoFaultOfItsRecords) {
    kafka_.blames_batch = true;
    const auto read_all = [&] {
        read(1, {"a", "b"});
        hand_over();
    };
    read_all();
    kafka_.give_up();
    kafka_.report(Outcome::refused_event, "MSG_SIZE_TOO_LARGE");
    ASSERT_TRUE(delivery_.needs_restart());
    EXPECT_LT(delivery_.restart_at(), Delivery::Clock::now() + kRefusedDelay / 2);
    delivery_.restart();
    read_all();
    EXPECT_EQ(kafka_.keys(), (Keys{"a", "b"})) << "none is a suspect";
    const auto page = registry_.expose();
    EXPECT_EQ(page.find("txstream_events_failed_total{"), std::string::npos) << page;
    EXPECT_EQ(page.find("txstream_events_retried_total{"), std::string::npos) << page;
    EXPECT_EQ(breaker_.state(), BreakerState::closed);
    kafka_.report(Outcome::acknowledged);
}

TEST_F(DeliveryTest, WhatWasQueuedBehindARefusedBatchIsNoFailureEither) {
    kafka_.blames_batch = true;
    read(1, {"refused"});
    read(2, {"queued"});
    hand_over();
    kafka_.give_up();
    kafka_.report_each([](const FakeKafka::Sent& one) {
        using Verdict = std::pair<Outcome, std::string_view>;
        return one.key == "queued" ? Verdict(Outcome::retryable, "_PURGE_QUEUE")
                                   : Verdict(Outcome::refused_event, "MSG_SIZE_TOO_LARGE");
    });
    ASSERT_TRUE(delivery_.needs_restart());
    delivery_.restart();
    EXPECT_EQ(breaker_.state(), BreakerState::closed);
    EXPECT_EQ(gate_.state(), DeliveryGate::State::flowing);
}

TEST_F(DeliveryTest, ARecordThatWasAloneInItsBatchIsToBlame) {
    read(1, {"a"});
    hand_over();
    kafka_.report(Outcome::refused_event, "MSG_SIZE_TOO_LARGE");
    delivery_.restart();
    kafka_.blames_batch = true;
    read(1, {"a"});
    hand_over();
    kafka_.report(Outcome::refused_event, "MSG_SIZE_TOO_LARGE");
    delivery_.restart();
    read(1, {"a"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys()) << "it is parked";
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
    read(1, {"a"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys{"a"});
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
