#pragma once

#include "outbox/progress.hpp"
#include "outbox/wire_event.hpp"
#include "relay/delivery.hpp"

#include <algorithm>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::relay {

/// What has become of an event that was read:
///
///     fresh ───▶ fast ──acknowledged──────────────▶ settled (Kafka has it, or it is parked)
///       │        │  ▲                                  ▲  ▲
///       │  not acknowledged, or refused                │  │
///       ▼        ▼  │ its topic is fast               │  │
///     aside ────────┘──────────parked─────────────────┘  │
///       │  ▲                                              │
///       │  └──refused with its batch or topic──┐          │
///       └──────first of its key──────────▶ careful ───acknowledged, or refused alone
///
/// A page is open until all of its events are settled, acknowledged when this is written, and gone.
/// The other half of the page, where it lies between the snapshots, is LaneMachine's.
enum class EventState : std::uint8_t { fresh, fast, aside, careful, settled };

/// For what an event waited that is not its own affair.
enum class Waited : std::uint8_t { no, topic, pause };

struct Delivery::Slot {
    Page* page;
    std::uint32_t index;  ///< in page->wire
    EventState state = EventState::fresh;
    std::uint8_t attempts = 0;  ///< refusals of it alone
    Waited waited = Waited::no;
};

/// Events of one key that are not on the fast path, in their order. Only the first of them may be
/// on its way, on the careful path.
struct Delivery::KeyQueue {
    std::string key;
    std::deque<Slot*> events;
    Clock::time_point retry_at{};
};

/// A page in wire form.
struct Delivery::Page {
    /// For the log and the metrics, when it is written.
    struct Parked {
        std::string event_id;
        std::string event_type;
        std::string topic;
        std::string error_class;
        std::string error;
        std::string trace_id;  ///< empty: none
    };

    Lane* lane;
    LaneMachine::PageNumber number;
    std::string arena;  // keeps what the records point into
    std::vector<WireEvent> wire;
    std::vector<Slot> slots;
    LaneDelay::Look look = 0;    ///< that found it
    DelayReason late;            ///< why, if they are, those that are handed over now
    std::size_t count = 0;       ///< of its events
    std::size_t next = 0;        ///< the first event that is fresh
    std::size_t open = 0;        ///< not settled
    std::size_t aside = 0;       ///< in the state aside or careful
    std::size_t fast = 0;        ///< in the state fast
    std::size_t first_fast = 0;  ///< none before it is
    std::size_t in_flight = 0;   ///< on either path
    std::size_t lost = 0;        ///< that the fast path did not deliver, and that are not traced
    std::size_t bytes = 0;       ///< that count
    Clock::time_point read_at;
    Clock::time_point handed_over_at;
    Clock::time_point in_flight_since;
    PageTally tally;
    PageLinks links;
    std::vector<outbox::RecordRange> ranges;
    std::vector<Parked> parked;

    WireEvent& event_of(const Slot& slot) { return wire[slot.index]; }

    void note(std::string_view topic, std::int32_t partition, std::int64_t offset) {
        for (auto& range : ranges) {
            if (range.partition != partition || range.topic != topic) continue;
            range.first = std::min(range.first, offset);
            range.last = std::max(range.last, offset);
            return;
        }
        ranges.push_back({std::string(topic), partition, offset, offset});
    }
    /// Whether an event before this one is on the fast path.
    bool has_fast_before(std::size_t index_of_slot) {
        if (fast == 0) return false;
        while (slots[first_fast].state != EventState::fast) ++first_fast;
        return first_fast < index_of_slot;
    }
    std::size_t place_of(const Slot& slot) const {
        return static_cast<std::size_t>(&slot - slots.data());
    }
    std::size_t memory() const {
        std::size_t events = 0;
        for (const auto& event : wire) events += event.memory();
        return sizeof(*this) + events;
    }
    /// Only what is set aside is needed any more: keeps that, and lets go of the rest.
    void compact();
};

}  // namespace txstream::relay
