#pragma once

#include "relay/delivery.hpp"
#include "relay/fake_kafka.hpp"
#include "relay/fake_outbox.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <optional>
#include <string>
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
    /// A page of events whose keys are given, to the end of their window.
    void read(std::int16_t lane, const std::vector<std::string>& keys, std::int64_t first = 0) {
        if (first == 0) first = 10 * lane;
        std::vector<tests::FakeEvent> events;
        for (const auto& key : keys)
            events.push_back(
                {.id = first + std::int64_t(events.size()), .lane = lane, .aggregate_id = key}
            );
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
    /// The lane reads on with this event, and if anything is new its table says so.
    void expect_published_before(std::int16_t lane, std::int64_t id) {
        if (const auto progress = acknowledge_all(lane)) {
            EXPECT_EQ(progress->cursor, snapshot(10));
            EXPECT_EQ(progress->target, snapshot(20));
            EXPECT_EQ(progress->last_id, EventSeq(id, 3).before());
        }
        EXPECT_TRUE(delivery_.machine(LaneId(lane)).is_paging());
        EXPECT_EQ(delivery_.machine(LaneId(lane)).read_up_to(), EventSeq(id, 3).before());
    }
    void hand_over() {
        ASSERT_TRUE(gate_.may_send(Delivery::Clock::now()));
        delivery_.pump();
    }
    using Keys = std::vector<std::string>;
    static constexpr auto kRefusedDelay = 2h;
    static constexpr auto kGrace = 1h;

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
    Delivery delivery_{
        {loop_.get_executor(), kafka_.maker(), gate_, metrics_, reader_, keeper_, "t", blockages_},
        {.lane = {.pages_in_flight_max = 4, .attempts_max = 1},
         .in_flight_bytes_max = 1,
         .refused_retry_delay = kRefusedDelay,
         .reports_grace = kGrace}
    };
};

}  // namespace txstream::relay
