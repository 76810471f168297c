#pragma once

#include "relay/delivery.hpp"
#include "relay/fake_kafka.hpp"
#include "relay/fake_outbox.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace txstream::relay {

using namespace std::chrono_literals;

/// A Delivery with two lanes between the reader, which the test plays, and a fake Kafka.
class DeliveryTest : public testing::Test {
protected:
    DeliveryTest() {
        silence_log();
        for (std::int16_t lane = 1; lane <= 2; ++lane) claim(lane);
    }
    void claim(std::int16_t lane, std::vector<std::string> held_keys = {}) {
        outbox::ClaimedLane claimed{};
        claimed.lane = LaneId(lane);
        claimed.epoch = Epoch(1);
        claimed.cursor = snapshot(10);
        claimed.held_keys = std::move(held_keys);
        delivery_.add_lane(claimed, Delivery::Clock::now() + 1h);
    }
    /// A page of events, to the end of their window. Of each the key is given, and after an @ its
    /// own topic.
    void read(std::int16_t lane, const std::vector<std::string>& keys, std::int64_t first = 0) {
        if (first == 0) first = 10 * lane;
        std::vector<tests::FakeEvent> events;
        for (const auto& key : keys) {
            auto& event = events.emplace_back();
            event.id = first + std::int64_t(events.size()) - 1;
            event.lane = lane;
            const auto at = key.find('@');
            event.aggregate_id = key.substr(0, at);
            if (at != std::string::npos) event.topic = key.substr(at + 1);
        }
        add_page(delivery_, lane, events, snapshot(20));
    }
    std::optional<outbox::LaneProgress> acknowledge_all(std::int16_t lane = 0) {
        std::optional<outbox::LaneProgress> found;
        for (const auto& one : delivery_.take_acknowledgements()) {
            delivery_.acknowledged(one);
            if (one.progress.lane == LaneId(lane)) found = one.progress;
        }
        return found;
    }
    std::vector<outbox::ParkedEvent> parked() {
        std::vector<outbox::ParkedEvent> all;
        for (const auto& one : delivery_.take_acknowledgements()) {
            all.insert(all.end(), one.parked.begin(), one.parked.end());
            delivery_.acknowledged(one);
        }
        return all;
    }
    void hand_over() {
        ASSERT_TRUE(gate_.may_send(Delivery::Clock::now()));
        delivery_.pump();
    }
    using Keys = std::vector<std::string>;
    static constexpr auto kGrace = 1h;

    Delivery::Dependencies dependencies() {
        Delivery::Dependencies all{
            loop_.get_executor(), kafka_.maker(), gate_, metrics_, reader_, keeper_, "t", blockages_
        };
        all.load = &load_;
        all.skip = skip_;
        all.format = format_;
        return all;
    }
    /// Another one, with two lanes, in place of the first.
    template <class Change>
    void make(Change change) {
        auto changed = limits();
        change(changed);
        made_.emplace(dependencies(), changed);
        kafka_.producers = 0;
        for (std::int16_t lane = 1; lane <= 2; ++lane) claim(lane);
    }
    static Delivery::Limits limits() {
        Delivery::Limits limits;
        limits.in_flight_bytes_max = 1;
        limits.attempts_max = 2;
        limits.refused_retry_delay = 0ms;
        limits.topics.careful_for = 1h;
        limits.topics.retry_delay = 0ms;
        limits.topics.patience = 1h;
        limits.waiting_bytes_pause = 0ms;
        limits.topics_pause = 0ms;
        limits.reports_grace = kGrace;
        return limits;
    }

    SkipPolicy skip_;  ///< of what make() makes
    const outbox::WireFormat* format_ = &outbox::txstream_format();
    asio::io_context loop_;
    FakeKafka kafka_;
    telemetry::Registry registry_;
    Metrics metrics_{registry_};
    runtime::Wakeup reader_{loop_.get_executor()};
    runtime::Wakeup keeper_{loop_.get_executor()};
    SharedBreaker breaker_{
        {.failure_threshold = 1, .success_threshold = 1, .reset_timeout = 1h}, nullptr
    };
    DeliveryGate gate_{DeliveryGate::Limits(), breaker_};
    Blockages blockages_{nullptr};
    Load load_;
    std::optional<Delivery> made_{std::in_place, dependencies(), limits()};
    Delivery& delivery_ = *made_;
};

}  // namespace txstream::relay
