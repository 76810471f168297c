#pragma once

#include "cli/look.hpp"
#include "outbox/event_search.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// From what people call an event to the event.
namespace txstream::cli {

/// Its number, ID.XID, or its event_id: one of them.
struct EventName {
    std::optional<std::int64_t> id;
    std::optional<EventSeq> ref;
    std::optional<std::string> event_id;
};
/// Nothing for any other text.
std::optional<EventName> parse_event_name(std::string_view text);
/// Only such names.
void allow_event_names(CLI::Option& option);

/// Events of a search, and how far it looked where it did not come to the end.
struct Matches {
    std::vector<outbox::EventRow> events;  ///< newest first
    std::string limit;                     ///< empty: what is not here does not exist
};
/// Of the time that is left a search walks for so long.
inline constexpr double kShare = 0.7;
/// `in_every_lane`: of an aggregate also the events that have a key of their own.
Task<Result<Matches>> search(
    Look look,
    outbox::EventFilter filter,
    std::size_t rows,
    double share = kShare,
    bool in_every_lane = false
);
/// The same in every lane among the dead letters, whose events retention may have dropped from the
/// outbox.
Task<Result<Matches>> search_dead(Look look, outbox::EventFilter filter, std::size_t rows);

/// Code::not_found says how far it looked; Code::invalid_input that a number names two events.
Task<Result<outbox::EventRow>> find_event(Look look, EventName name, std::string text);

}  // namespace txstream::cli
