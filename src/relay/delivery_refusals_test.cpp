#include "relay/delivery_fixture.hpp"

// What a refusal costs: its key, and nothing else.
namespace txstream::relay {
namespace {

using namespace std::chrono_literals;
using policy::BreakerState;
using State = TopicPaths::State;

class DeliveryRefusalsTest : public DeliveryTest {
protected:
    DeliveryRefusalsTest() {
        make([](Delivery::Limits&) {});
    }
    template <class Change>
    void make(Change change) {
        DeliveryTest::make([&](Delivery::Limits& limits) {
            limits.in_flight_bytes_max = 1 << 20;
            change(limits);
        });
    }
    /// As librdkafka ends when a record is refused: it says so, and what it had not sent comes
    /// back.
    void refuse(const std::string& key, std::string_view error = "INVALID_RECORD") {
        kafka_.give_up();
        kafka_.report_each([&](const FakeKafka::Sent& one) {
            using Verdict = std::pair<Outcome, std::string_view>;
            return one.key == key ? Verdict(Outcome::refused_event, error)
                                  : Verdict(Outcome::retryable, "_PURGE_QUEUE");
        });
    }
    /// The event of the topic, the first that was sent: with others, then alone.
    void refuse_alone(const std::string& topic) {
        kafka_.give_up();
        kafka_.report_each([&](const FakeKafka::Sent& one) {
            using Verdict = std::pair<Outcome, std::string_view>;
            return one.topic == topic ? Verdict(Outcome::refused_event, "INVALID_RECORD")
                                      : Verdict(Outcome::retryable, "_PURGE_QUEUE");
        });
        restart();
        ASSERT_EQ(kafka_.careful.sent.size(), 1U);
        ASSERT_EQ(kafka_.careful.sent[0].topic, topic);
        kafka_.careful.report(Outcome::refused_event, "INVALID_RECORD");
    }
    void restart() {
        ASSERT_TRUE(delivery_.needs_restart());
        delivery_.restart();
        hand_over();
    }
    State state_of(const std::string& topic) const {
        const auto found = delivery_.topics().all().find(topic);
        return found == delivery_.topics().all().end() ? State::unproven : found->second.state;
    }
};

TEST_F(
    DeliveryRefusalsTest, ARefusalMovesItsTopicToTheCarefulPathAndOthersGoOnThroughOneNewProducer
) {
    read(1, {"bad@b", "good@b"});
    read(2, {"stranger"});
    hand_over();
    ASSERT_EQ(kafka_.keys(), (Keys{"bad", "good", "stranger"}));
    refuse("bad");
    EXPECT_LE(delivery_.restart_at(), Delivery::Clock::now()) << "nothing is left to wait for";
    EXPECT_EQ(kafka_.careful.keys(), (Keys{"bad"})) << "which does not wait for the other";
    restart();
    EXPECT_EQ(kafka_.keys(), Keys{"stranger"});
    EXPECT_EQ(kafka_.producers, 2);
    kafka_.careful.report(Outcome::refused_event, "INVALID_RECORD");
    EXPECT_EQ(kafka_.careful.keys(), Keys{"good"});
    kafka_.careful.report(Outcome::acknowledged);
    EXPECT_FALSE(delivery_.needs_restart());
    kafka_.report(Outcome::acknowledged);
    const auto aside = parked();
    ASSERT_EQ(aside.size(), 1U) << "at once, since it was alone and nothing can change";
    EXPECT_EQ(aside[0].error_class, "INVALID_RECORD");
    EXPECT_EQ(aside[0].attempts, 1);
    EXPECT_TRUE(delivery_.is_idle());
    EXPECT_EQ(breaker_.state(), BreakerState::closed) << "an event's fault, not Kafka's";
    read(2, {"next@b", "usual"}, 30);
    hand_over();
    EXPECT_EQ(kafka_.careful.keys(), Keys{"next"}) << "for some minutes";
    EXPECT_EQ(kafka_.keys(), Keys{"usual"});
}

TEST_F(DeliveryRefusalsTest, WhatWasDeliveredBeforeARefusalIsNotSentAgain) {
    read(1, {"a", "b", "bad@b"});
    hand_over();
    kafka_.report_one("a", Outcome::acknowledged);
    refuse("bad");
    restart();
    EXPECT_EQ(kafka_.keys(), Keys{"b"});
}

TEST_F(DeliveryRefusalsTest, AfterARefusalTheReportsThatAreOnTheirWayAreWaitedFor) {
    const auto began = Delivery::Clock::now();
    read(1, {"bad@b", "other"});
    hand_over();
    kafka_.give_up();
    kafka_.report_one("bad", Outcome::refused_event, "INVALID_RECORD");
    EXPECT_GE(delivery_.restart_at(), began + kGrace);
    kafka_.report_one("other", Outcome::acknowledged);
    EXPECT_LE(delivery_.restart_at(), Delivery::Clock::now());
    restart();
    EXPECT_EQ(kafka_.keys(), Keys()) << "it was delivered";
}

TEST_F(DeliveryRefusalsTest, OnTheCarefulPathOneOfAKeyIsInFlightAndLaterOnesFollowInOrder) {
    kafka_.unknown_topics = {"b"};
    read(1, {"k@b", "k", "other", "k@b"});
    hand_over();
    EXPECT_EQ(kafka_.careful.keys(), Keys{"k"});
    EXPECT_EQ(kafka_.keys(), Keys{"other"})
        << "what follows it in its key waits, whatever its topic";
    kafka_.careful.report(Outcome::acknowledged);
    EXPECT_EQ(kafka_.careful.keys(), Keys());
    EXPECT_EQ(kafka_.keys(), (Keys{"other", "k", "k"})) << "its topic is known";
}

TEST_F(DeliveryRefusalsTest, ACarefulRecordWaitsForWhatIsBeforeItOnTheFastPath) {
    kafka_.unknown_topics = {"b"};
    read(1, {"k", "k@b"});
    read(2, {"m@c"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), (Keys{"k", "m"}));
    EXPECT_EQ(kafka_.careful.keys(), Keys());
    kafka_.report_one("k", Outcome::acknowledged);
    EXPECT_EQ(kafka_.careful.keys(), Keys{"k"});
}

// One of eight is guilty; which is not known, since a broker refuses batches.
TEST_F(DeliveryRefusalsTest, ABatchThatIsRefusedIsHalvedUntilTheGuiltyOneIsAlone) {
    read(1, {"0@b", "1@b", "2@b", "3@b", "4@b", "5@b", "6@b", "7@b"});
    hand_over();
    kafka_.give_up();
    kafka_.report(Outcome::refused_event, "INVALID_RECORD");
    restart();
    std::size_t records = 8;
    std::vector<outbox::ParkedEvent> guilty;
    for (int calls = 0; !kafka_.careful.sent.empty() && calls < 50; ++calls) {
        const auto batch = kafka_.careful.keys();
        EXPECT_LE(batch.size(), 4U) << "at most half of what was refused";
        records += batch.size();
        const bool is_refused = std::ranges::find(batch, "5") != batch.end();
        kafka_.careful.report(
            is_refused ? Outcome::refused_event : Outcome::acknowledged, "INVALID_RECORD"
        );
    }
    guilty = parked();
    ASSERT_EQ(guilty.size(), 1U);
    EXPECT_EQ(guilty[0].id, EventSeq(15, 3));
    EXPECT_EQ(guilty[0].attempts, 1) << "refusals of batches are not its attempts";
    EXPECT_TRUE(delivery_.is_idle());
    EXPECT_LE(records, 8U + 4U + 4U + 4U + 4U);
    EXPECT_EQ(kafka_.producers, 2);
    EXPECT_EQ(kafka_.careful.producers, 1) << "nothing is rebuilt there";
}

TEST_F(DeliveryRefusalsTest, WhatIsRefusedAloneForAReasonThatMayPassIsTriedAgain) {
    kafka_.unknown_topics = {"b"};
    read(1, {"k@b", "k@b"});
    hand_over();
    kafka_.careful.report(Outcome::refused_for_now, "INVALID_MSG");
    hand_over();
    EXPECT_EQ(kafka_.careful.keys(), Keys{"k"});
    EXPECT_FALSE(delivery_.has_acknowledgements());
    kafka_.careful.report(Outcome::refused_for_now, "INVALID_MSG");
    const auto aside = parked();
    ASSERT_EQ(aside.size(), 2U);
    EXPECT_EQ(aside[0].attempts, 2);
    EXPECT_EQ(aside[1].error_class, "held") << "what follows in its key is parked behind it";
    EXPECT_EQ(kafka_.careful.keys(), Keys());
}

TEST_F(DeliveryRefusalsTest, ATopicThatTakesNothingHoldsTheKeysOfItsEventsAndNothingElse) {
    kafka_.unknown_topics = {"missing"};
    read(1, {"a", "k@missing", "b", "k", "other@missing"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), (Keys{"a", "b"}));
    kafka_.report(Outcome::acknowledged);
    EXPECT_EQ(kafka_.careful.keys(), Keys{"k"}) << "one is tried";
    kafka_.careful.report(Outcome::refused_topic, "_UNKNOWN_TOPIC");
    EXPECT_EQ(state_of("missing"), State::closed);
    EXPECT_FALSE(delivery_.needs_restart());
    EXPECT_EQ(kafka_.producers, 1);
    EXPECT_FALSE(delivery_.has_acknowledgements()) << "their page stays open";
    EXPECT_EQ(delivery_.lanes_to_poll().size(), 2U) << "and the lane reads on";
    for (std::int64_t i = 0; i < 10; ++i) {
        read(1, {"c", "k"}, 100 + 10 * i);
        hand_over();
        EXPECT_EQ(kafka_.keys(), Keys{"c"});
        kafka_.report(Outcome::acknowledged);
        EXPECT_TRUE(delivery_.machine(LaneId(1)).has_room());
    }
    EXPECT_EQ(breaker_.state(), BreakerState::closed);
    // It is made.
    ASSERT_EQ(kafka_.careful.keys().size(), 1U);
    const auto tried = kafka_.careful.keys().front();
    EXPECT_EQ(tried, "other") << "each in its turn";
    kafka_.careful.report(Outcome::acknowledged);
    for (int i = 0; i < 40 && !delivery_.is_idle(); ++i) {
        hand_over();
        if (!kafka_.sent.empty()) kafka_.report(Outcome::acknowledged);
        if (!kafka_.careful.sent.empty()) kafka_.careful.report(Outcome::acknowledged);
        acknowledge_all();
    }
    EXPECT_TRUE(delivery_.is_idle());
    EXPECT_EQ(delivery_.bytes_aside(), 0U);
}

TEST_F(DeliveryRefusalsTest, ATopicIsTriedWithOneEventAtItsTimeAndNotBefore) {
    make([](Delivery::Limits& limits) { limits.topics.retry_delay = 1h; });
    kafka_.unknown_topics = {"missing"};
    read(1, {"k@missing", "l@missing"});
    hand_over();
    kafka_.careful.report(Outcome::refused_topic, "_UNKNOWN_TOPIC");
    for (int i = 0; i < 3; ++i) {
        hand_over();
        EXPECT_EQ(kafka_.careful.keys(), Keys());
    }
    delivery_.look(Delivery::Clock::now());
    EXPECT_TRUE(blockages_.contains(Blockage::topic_refused));
    ASSERT_EQ(blockages_.held_lanes().size(), 1U);
    EXPECT_EQ(blockages_.held_lanes()[0].topic, "missing");
}

TEST_F(
    DeliveryRefusalsTest, WhenPatienceIsOverTheTopicsEventsAreParkedWithTheReasonUntilItTakesOne
) {
    make([](Delivery::Limits& limits) {
        limits.topics.patience = 0ms;
        limits.topics.retry_delay = 1h;
    });
    kafka_.unknown_topics = {"missing"};
    read(1, {"k@missing", "l@missing", "k", "free"});
    hand_over();
    kafka_.report(Outcome::acknowledged);
    kafka_.careful.report(Outcome::refused_topic, "_UNKNOWN_TOPIC");
    hand_over();
    const auto aside = parked();
    ASSERT_EQ(aside.size(), 3U);
    for (const auto& one : aside) {
        EXPECT_EQ(one.error_class, one.attempts == 0 ? "held" : "_UNKNOWN_TOPIC");
        EXPECT_EQ(one.waits, one.attempts > 0);
    }
    EXPECT_NE(aside[0].error.find("WORKER_TOPIC_PATIENCE"), std::string::npos) << aside[0].error;
    EXPECT_TRUE(delivery_.is_idle());
    read(1, {"m@missing"}, 50);
    hand_over();
    EXPECT_EQ(parked().size(), 1U) << "as they come";
}

TEST_F(DeliveryRefusalsTest, WhatWaitsGivesWayWhenStrangersNeedItsRoom) {
    make([](Delivery::Limits& limits) { limits.in_flight_bytes_max = 8000; });
    kafka_.unknown_topics = {"missing"};
    read(1, {"a@missing"});
    hand_over();
    kafka_.careful.report(Outcome::refused_topic, "_UNKNOWN_TOPIC");
    hand_over();
    if (!kafka_.careful.sent.empty())
        kafka_.careful.report(Outcome::refused_topic, "_UNKNOWN_TOPIC");
    EXPECT_FALSE(delivery_.is_idle());
    for (std::int64_t i = 0; i < 10; ++i) {
        read(2, {"b" + std::to_string(i) + "@missing"}, 100 + i);
        hand_over();
        if (!kafka_.careful.sent.empty())
            kafka_.careful.report(Outcome::refused_topic, "_UNKNOWN_TOPIC");
    }
    hand_over();
    EXPECT_FALSE(parked().empty());
    while (!parked().empty()) {
    }
    EXPECT_TRUE(delivery_.has_room());
}

TEST_F(DeliveryRefusalsTest, TheDefaultTopicIsWaitedForAndNothingIsReadMeanwhile) {
    make([](Delivery::Limits& limits) { limits.topics.patience = 0ms; });
    read(1, {"a", "b"});
    hand_over();
    kafka_.give_up();
    kafka_.report(Outcome::refused_topic, "TOPIC_AUTHORIZATION_FAILED");
    restart();
    EXPECT_EQ(kafka_.keys(), Keys());
    EXPECT_EQ(kafka_.careful.keys(), Keys{"a"}) << "one is tried";
    EXPECT_TRUE(delivery_.lanes_to_poll().empty());
    delivery_.look(Delivery::Clock::now());
    EXPECT_TRUE(blockages_.contains(Blockage::topic_missing));
    kafka_.careful.report(Outcome::refused_topic, "TOPIC_AUTHORIZATION_FAILED");
    EXPECT_TRUE(parked().empty()) << "whatever the patience";
    ASSERT_EQ(kafka_.careful.keys().size(), 1U);
    kafka_.careful.report(Outcome::acknowledged);
    EXPECT_FALSE(delivery_.lanes_to_poll().empty());
    delivery_.look(Delivery::Clock::now());
    EXPECT_FALSE(blockages_.contains(Blockage::topic_missing));
}

// They were lost with their session, for example.
TEST_F(DeliveryRefusalsTest, TheDefaultTopicIsTriedWithWhatIsReadWhenNothingIsInHand) {
    read(1, {"a"});
    hand_over();
    kafka_.give_up();
    kafka_.report(Outcome::refused_topic, "UNKNOWN_TOPIC_OR_PART");
    restart();
    ASSERT_TRUE(delivery_.lanes_to_poll().empty());
    delivery_.lose(LaneId(1));
    EXPECT_FALSE(delivery_.lanes_to_poll().empty());
}

TEST_F(DeliveryRefusalsTest, WhatIsImpossibleIsParkedWhenEarlierEventsOfItsLaneAreDelivered) {
    read(1, {"k", "bad@b"});
    hand_over();
    kafka_.refuses = Error(Code::rejected, "too large", "MSG_SIZE_TOO_LARGE");
    read(1, {"k"}, 100);
    hand_over();
    kafka_.refuses.reset();
    refuse("bad");
    restart();
    EXPECT_EQ(kafka_.keys(), (Keys{"k", "k"})) << "the earlier one has come back";
}

TEST_F(DeliveryRefusalsTest, AProducerThatEndsAfterItsReasonWasReportedIsNoFailureOfKafkas) {
    read(1, {"bad@b"});
    hand_over();
    kafka_.report(Outcome::refused_event, "INVALID_RECORD");
    kafka_.give_up();
    restart();
    EXPECT_EQ(gate_.state(), DeliveryGate::State::flowing);
    EXPECT_EQ(breaker_.state(), BreakerState::closed);
}

// Which later ones of its key may have gone with it.
TEST_F(DeliveryRefusalsTest, WhatCameBackGoesTheCarefulWayOnceTheRestOfItsLaneHasComeBack) {
    read(1, {"k@b", "k"});
    hand_over();
    kafka_.give_up();
    kafka_.report_one("k", Outcome::refused_event, "INVALID_RECORD");
    hand_over();
    EXPECT_EQ(kafka_.careful.keys(), Keys());
    delivery_.restart();
    hand_over();
    EXPECT_EQ(kafka_.careful.keys(), Keys{"k"});
    kafka_.careful.report(Outcome::refused_event, "INVALID_RECORD");
    EXPECT_EQ(parked().size(), 2U);
    EXPECT_EQ(kafka_.keys(), Keys());
}

TEST_F(DeliveryRefusalsTest, NothingOfTheCarefulPathLeavesAfterItsLaneWasLostOrGivenBack) {
    kafka_.unknown_topics = {"b", "c"};
    read(1, {"k@b"});
    read(2, {"l@c"});
    hand_over();
    ASSERT_EQ(kafka_.careful.keys(), (Keys{"k", "l"}));
    delivery_.lose(LaneId(1));
    EXPECT_EQ(kafka_.careful.keys(), Keys());
    EXPECT_FALSE(delivery_.needs_restart()) << "the fast path had nothing of it";
    hand_over();
    EXPECT_EQ(kafka_.careful.marked(), Keys{"l (2 lane-lost)"});
    delivery_.close();
    EXPECT_EQ(kafka_.careful.keys(), Keys());
    hand_over();
    EXPECT_EQ(kafka_.careful.keys(), Keys());
}

TEST_F(DeliveryRefusalsTest, ACarefulProducerThatGivesUpIsReplacedAndTheFastOneStays) {
    kafka_.unknown_topics = {"b"};
    read(1, {"k@b", "other"});
    hand_over();
    kafka_.report(Outcome::acknowledged);
    kafka_.careful.events.fatal(Error(Code::unavailable, "fenced", "_FENCED"));
    EXPECT_EQ(gate_.state(), DeliveryGate::State::paused);
    delivery_.replace_careful();
    delivery_.pump();
    EXPECT_EQ(kafka_.careful.producers, 2);
    EXPECT_EQ(kafka_.careful.keys(), Keys{"k"});
    EXPECT_EQ(kafka_.producers, 1);
    kafka_.careful.report(Outcome::acknowledged);
    acknowledge_all();
    EXPECT_TRUE(delivery_.is_idle());
}

TEST_F(DeliveryRefusalsTest, AtMostOneLineASecondIsWrittenWhateverIsRefused) {
    RefusalLog log;
    const auto now = Delivery::Clock::now();
    const auto example = [] { return RefusalLog::Example{"e", {}, "t", "INVALID_RECORD", "why"}; };
    int lines = 0;
    RefusalLog::Counts told;
    for (int ms = 0; ms < 10'000; ++ms) {
        auto line = log.add({.refused = 1, .parked = 1}, example, now + ms * 1ms);
        if (!line) continue;
        ++lines;
        told.refused += line->counts.refused;
        EXPECT_EQ(line->example.event_id, "e");
    }
    EXPECT_EQ(lines, 10);
    const auto rest = log.due(now + 11s);
    ASSERT_TRUE(rest);
    EXPECT_EQ(told.refused + rest->counts.refused, 10'000U);
    EXPECT_FALSE(log.due(now + 13s));
}

TEST_F(DeliveryRefusalsTest, OthersSeeWhichTopicsAreSlowAndWhatWaitsForThem) {
    read(1, {"bad@b", "k@b", "k", "k@b"});
    read(2, {"stranger"});
    hand_over();
    refuse("bad");
    restart();
    delivery_.look(Delivery::Clock::now());
    auto told = load_.slow_topics();
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].name, "b");
    EXPECT_FALSE(told[0].is_closed);
    EXPECT_EQ(told[0].error, "INVALID_RECORD");
    EXPECT_EQ(load_.keys_aside, 2U);
    EXPECT_EQ(told[0].keys, 2U);
    EXPECT_EQ(told[0].events, 4U) << "with the one of another topic behind them";
    kafka_.careful.report(Outcome::refused_topic, "_UNKNOWN_TOPIC");
    delivery_.look(Delivery::Clock::now());
    told = load_.slow_topics();
    ASSERT_EQ(told.size(), 1U);
    EXPECT_TRUE(told[0].is_closed);
    EXPECT_EQ(told[0].error, "_UNKNOWN_TOPIC");
    for (int i = 0; i < 4; ++i) {
        delivery_.pump();
        kafka_.careful.report(Outcome::acknowledged);
        kafka_.report(Outcome::acknowledged);
    }
    EXPECT_TRUE(acknowledge_all(1));
    delivery_.look(Delivery::Clock::now());
    told = load_.slow_topics();
    ASSERT_EQ(told.size(), 1U) << "for some minutes";
    EXPECT_EQ(told[0].events, 0U);
    EXPECT_EQ(load_.keys_aside, 0U);
    const auto page = registry_.expose();
    EXPECT_NE(page.find("\ntxstream_records_sent_total{path=\"fast\"} "), std::string::npos);
    EXPECT_EQ(page.find("\ntxstream_records_sent_total{path=\"careful\"} 0"), std::string::npos);
    EXPECT_NE(page.find("\ntxstream_reader_events_total 5\n"), std::string::npos);
}

TEST_F(DeliveryRefusalsTest, WhatIsSentAgainIsCountedWithItsReason) {
    const auto shows = [&](const std::string& line) {
        return ("\n" + registry_.expose()).find("\n" + line + "\n") != std::string::npos;
    };
    const auto resent = [](const std::string& reason, int records) {
        return "txstream_records_resent_total{outcome=\"unknown\",reason=\"" + reason + "\"} " +
               std::to_string(records);
    };
    read(1, {"a", "bad@b"});
    hand_over();
    kafka_.give_up();
    kafka_.report_one("bad", Outcome::refused_event, "INVALID_RECORD");
    restart();
    EXPECT_TRUE(shows(resent("record_refused", 1))) << "of a nothing is known";
    read(2, {"c"});
    hand_over();
    kafka_.report(Outcome::retryable, "REQUEST_TIMED_OUT");
    EXPECT_TRUE(shows(resent("kafka_unavailable", 2)));
    delivery_.lose_all();
    EXPECT_TRUE(shows(resent("batch_refused", 0)));
}

TEST_F(DeliveryRefusalsTest, WhatIsToBeSkippedIsParkedAndTheRestOfItsKeyGoesOnInOrder) {
    skip_ = SkipPolicy({"b"}, {});
    make([](Delivery::Limits&) {});
    read(1, {"k@b", "k", "k"});
    hand_over();
    refuse_alone("b");
    EXPECT_FALSE(delivery_.machine(LaneId(1)).holds("k"));
    EXPECT_EQ(kafka_.keys(), (Keys{"k", "k"}));
    kafka_.report(Outcome::acknowledged);
    const auto aside = parked();
    ASSERT_EQ(aside.size(), 1U);
    EXPECT_EQ(aside[0].error_class, "INVALID_RECORD");
    EXPECT_FALSE(aside[0].holds);
    EXPECT_TRUE(delivery_.is_idle());
}

TEST_F(DeliveryRefusalsTest, WhatIsNotToBeSkippedHoldsItsKey) {
    skip_ = SkipPolicy({"elsewhere"}, {"Another"});
    make([](Delivery::Limits&) {});
    read(1, {"k@b", "k"});
    hand_over();
    refuse_alone("b");
    const auto aside = parked();
    ASSERT_EQ(aside.size(), 2U);
    EXPECT_TRUE(aside[0].holds);
    EXPECT_EQ(aside[1].error_class, "held");
}

TEST_F(DeliveryRefusalsTest, ATypeIsSkippedWhateverItsTopic) {
    skip_ = SkipPolicy({}, {"Tested"});
    make([](Delivery::Limits&) {});
    read(1, {"k@b", "k"});
    hand_over();
    refuse_alone("b");
    EXPECT_EQ(kafka_.keys(), Keys{"k"});
    kafka_.report(Outcome::acknowledged);
    EXPECT_EQ(parked().size(), 1U);
}

TEST_F(DeliveryRefusalsTest, WhatWaitsForItsTopicHoldsItsKeyUntilItIsParked) {
    skip_ = SkipPolicy({"b"}, {});
    make([](Delivery::Limits& limits) { limits.topics.patience = 1h; });
    kafka_.unknown_topics = {"b"};
    read(1, {"k@b", "k"});
    hand_over();
    ASSERT_EQ(kafka_.careful.keys(), Keys{"k"});
    kafka_.careful.report(Outcome::refused_topic, "UNKNOWN_TOPIC_OR_PART");
    EXPECT_TRUE(kafka_.keys().empty()) << "its turn may still come";
    EXPECT_TRUE(parked().empty());
}

TEST_F(DeliveryTest, ARecordWhoseTopicOrProducerWasTakenAwayIsNoOutageAndGoesAgain) {
    for (const auto* error : {"_DESTROY", "_PURGE_INFLIGHT"}) {
        read(1, {error}, error[1] == 'D' ? 11 : 12);
        hand_over();
        ASSERT_EQ(kafka_.keys(), Keys{error});
        kafka_.report(Outcome::retryable, error);
        EXPECT_EQ(gate_.state(), DeliveryGate::State::flowing) << error;
        EXPECT_EQ(breaker_.state(), policy::BreakerState::closed) << error;
        ASSERT_TRUE(delivery_.needs_restart()) << error;
        delivery_.restart();
        hand_over();
        EXPECT_EQ(kafka_.keys(), Keys{error});
        kafka_.report(Outcome::acknowledged);
    }
}

TEST_F(DeliveryTest, AProducerThatHasGivenUpIsNoOutageUntilItsReportsHaveSaidWhy) {
    read(1, {"a"}, 11);
    hand_over();
    kafka_.refuses = Error(Code::unavailable, "a previous fatal error was raised", "_FATAL");
    read(1, {"b"}, 12);
    delivery_.pump();
    EXPECT_TRUE(delivery_.needs_restart());
    kafka_.refuses.reset();
    kafka_.give_up();
    kafka_.report(Outcome::refused_event, "BAD");
    delivery_.restart();
    EXPECT_EQ(gate_.state(), DeliveryGate::State::flowing) << "one record was to blame";
}

}  // namespace
}  // namespace txstream::relay
