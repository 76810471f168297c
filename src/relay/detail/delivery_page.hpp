#pragma once

#include "outbox/reader.hpp"
#include "outbox/record_format.hpp"
#include "relay/delivery.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::relay {

/// A page in wire form, with what has become of its events.
struct Delivery::Page {
    struct Range {
        std::string_view topic;
        std::int32_t partition;
        std::int64_t first;
        std::int64_t last;
    };

    Lane* lane;
    LaneMachine::PageNumber number;
    outbox::Events events;  // keeps what the records point into
    std::string arena;
    std::vector<WireEvent> wire;
    std::vector<Slot> slots;
    LaneDelay::Look look = 0;  ///< that found it
    DelayReason late;          ///< why, if they are, those that are handed over now
    std::size_t next = 0;      ///< the first event that was not handed over
    std::size_t open = 0;      ///< neither acknowledged by Kafka nor parked
    std::size_t bytes = 0;
    Clock::time_point read_at;
    Clock::time_point handed_over_at;
    PageTally tally;
    PageLinks links;
    std::vector<Range> ranges;

    void note(std::string_view topic, std::int32_t partition, std::int64_t offset) {
        for (auto& range : ranges) {
            if (range.partition != partition || range.topic != topic) continue;
            range.first = std::min(range.first, offset);
            range.last = std::max(range.last, offset);
            return;
        }
        ranges.push_back({topic, partition, offset, offset});
    }
};

}  // namespace txstream::relay
