#include "relay/delivery.hpp"

#include "telemetry/log.hpp"
#include "tests/support/fake_rows.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace txstream::relay {
namespace {

using namespace std::chrono_literals;
using policy::BreakerState;

/// Kafka at the test's command: nothing is reported before the test says so.
struct FakeKafka {
    struct Sent {
        std::string topic;
        std::string key;
        void* context;
    };
    std::vector<Sent> sent;  ///< and not reported
    PublisherEvents events;
    int producers = 0;

    std::vector<std::string> keys() const {
        std::vector<std::string> all;
        for (const auto& one : sent) all.push_back(one.key);
        return all;
    }
    void report(Outcome outcome, std::string_view error = {}) {
        std::vector<Report> reports;
        for (const auto& one : std::exchange(sent, {}))
            reports.push_back({one.context, outcome, 0, 0, error});
        events.reports(reports);
    }
    void give_up() { events.fatal(Error(Code::unavailable, "a gap", "_GAPLESS_GUARANTEE")); }
};

class FakePublisher final : public Publisher {
public:
    explicit FakePublisher(FakeKafka& kafka) : kafka_(kafka) { ++kafka_.producers; }
    ~FakePublisher() override { kafka_.sent.clear(); }
    Result<> publish(const Record& record) override {
        kafka_.sent.push_back({std::string(record.topic), std::string(record.key), record.context});
        return {};
    }
    std::string explain(std::string_view error, std::size_t) const override {
        return std::string(error);
    }

private:
    FakeKafka& kafka_;
};

class DeliveryTest : public testing::Test {
protected:
    DeliveryTest() {
        log::Options quiet;
        quiet.level = log::Level::fatal;
        EXPECT_TRUE(log::setup(quiet));
        for (std::int16_t lane = 1; lane <= 2; ++lane) {
            outbox::ClaimedLane claimed{};
            claimed.lane = LaneId(lane);
            claimed.epoch = Epoch(1);
            claimed.cursor = snapshot(10);
            delivery_.add_lane(claimed, Delivery::Clock::now() + 1h);
        }
    }
    static outbox::Snapshot snapshot(std::int64_t xmax) {
        const auto text = std::to_string(xmax);
        return outbox::Snapshot::parse(text + ":" + text + ":").value();
    }
    /// A page of events whose keys are given, as a window of its own.
    void read(std::int16_t lane, const std::vector<std::string>& keys) {
        std::vector<tests::FakeEvent> events;
        for (const auto& key : keys)
            events.push_back(
                {.id = 10 * lane + std::int64_t(events.size()), .lane = lane, .aggregate_id = key}
            );
        delivery_.add_page(
            LaneId(lane), tests::fake_events(events), 0, events.size(), snapshot(20), true
        );
    }
    void hand_over() {
        ASSERT_TRUE(gate_.may_send(Delivery::Clock::now()));
        delivery_.pump();
    }
    using Keys = std::vector<std::string>;

    asio::io_context loop_;
    FakeKafka kafka_;
    telemetry::Metrics metrics_;
    runtime::Wakeup reader_{loop_.get_executor()};
    runtime::Wakeup keeper_{loop_.get_executor()};
    SharedBreaker breaker_{
        {.failure_threshold = 1, .success_threshold = 1, .reset_timeout = 1h}, nullptr
    };
    DeliveryGate gate_{DeliveryGate::Limits(), breaker_};
    Delivery delivery_{
        {loop_.get_executor(),
         [this](auto, PublisherEvents events) -> Result<std::unique_ptr<Publisher>> {
             kafka_.events = std::move(events);
             return std::make_unique<FakePublisher>(kafka_);
         },
         gate_,
         metrics_,
         reader_,
         keeper_,
         "t"},
        {.lane = {.pages_in_flight_max = 4, .attempts_max = 1}}
    };
};

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

TEST_F(DeliveryTest, AProducerThatGivesUpAndDoesNotSayForWhomIsAFailure) {
    read(1, {"a"});
    hand_over();
    kafka_.give_up();
    EXPECT_EQ(breaker_.state(), BreakerState::closed) << "the report is on its way";
    delivery_.restart();
    EXPECT_EQ(gate_.state(), DeliveryGate::State::paused);
    EXPECT_EQ(breaker_.state(), BreakerState::open);
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
    read(2, {"c"});
    hand_over();
    EXPECT_EQ(kafka_.keys(), Keys{"c"});
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
