#pragma once

#include "base/strong.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::outbox {

using Time = std::chrono::sys_time<std::chrono::microseconds>;

/// What became of an event, in the words of the view txstream.events.
enum class EventState : std::uint8_t { pending, published, parked, replaying, replayed, discarded };

std::string_view to_string(EventState state) noexcept;
std::optional<EventState> parse_event_state(std::string_view word) noexcept;

/// "ID.XID", by which URLs name an event. Nothing for any other text.
std::optional<EventSeq> parse_event_ref(std::string_view text) noexcept;
std::string event_ref(EventSeq seq);

/// Which events a search wants. Members that are empty want all; several values of one are
/// alternatives, and all members must fit.
struct EventFilter {
    std::optional<std::int64_t> id;
    std::optional<EventSeq> ref;
    std::optional<std::string> event_id;
    std::optional<std::string> aggregate;
    std::optional<std::string> key;
    std::optional<std::string>
        order;  ///< its number; whoever knows orders makes an aggregate of it
    std::optional<std::string> trace;  ///< 32 lower-case hexadecimal digits
    std::vector<std::string> types;
    std::vector<std::string> aggregate_types;
    std::vector<std::string> topics;
    std::vector<std::string> error_classes;
    std::vector<EventState> states;
    std::vector<std::int16_t> lanes;
    std::optional<Time> created_from;
    std::optional<Time> created_to;
};

/// Where a text cannot be understood, for people.
struct FilterError {
    std::size_t column;  ///< from 0, in characters
    std::string text;
};

/// Reads qualifiers, separated by blanks: `state:pending,parked type:OrderCreated key:"a b"
/// created:>-1h`. A value with blanks or commas stands in double quotes. A bare number, reference
/// or UUID is an `id:`. `now` is what spans are counted back from.
struct ParsedFilter {
    EventFilter filter;
    std::optional<FilterError> error;
};
ParsedFilter parse_event_filter(std::string_view text, Time now);

}  // namespace txstream::outbox
