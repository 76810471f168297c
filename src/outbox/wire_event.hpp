#pragma once

#include "base/strong.hpp"
#include "outbox/event.hpp"
#include "telemetry/trace_context.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>

namespace txstream::outbox {

/// What an event is, whatever record is made of it: who tells of it, parks it or remembers it needs
/// no more. The views live as long as those of its WireEvent.
struct EventIdentity {
    EventSeq id;
    std::string_view event_id;
    std::string_view event_type;
    std::string_view aggregate_type;
    std::string_view aggregate_id;
    std::chrono::sys_time<std::chrono::microseconds> created_at;
};

/// One event in wire form. The views point into the page's arena, of `topic` perhaps to the default
/// topic's name.
struct WireEvent {
    EventIdentity identity;
    std::string_view topic;
    std::string_view key;
    std::string_view value;
    bool is_tombstone = false;
    std::string_view content_type;
    std::string_view created_at_text;  ///< RFC 3339; empty when it cannot express the time
    std::string_view extra_headers;    ///< JSON object, empty: none
    std::size_t oversize = 0;          ///< so many bytes that it was not fetched; no record

    /// Everything the broker counts, about: key, value and headers.
    std::size_t bytes() const noexcept;
    /// About what it takes in a page, with what Kafka's client keeps of it.
    std::size_t memory() const noexcept { return bytes() + kEventOverhead; }
};

/// The context in which the event was created, as its header `traceparent` says. For lines of the
/// log: it looks through the headers.
std::optional<telemetry::TraceContext> trace_of(const WireEvent& event);

/// How long before `now` the event was created, by its writer's clock. Nothing when that clock is
/// no measure: more than a minute ahead, or a month ago. Metrics must not follow it then.
std::optional<std::chrono::microseconds> plausible_age(
    std::chrono::sys_time<std::chrono::microseconds> created_at,
    std::chrono::sys_time<std::chrono::microseconds> now
) noexcept;

}  // namespace txstream::outbox
