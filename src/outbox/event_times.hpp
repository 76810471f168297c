#pragma once

#include "outbox/event_row.hpp"
#include "pg/connection.hpp"

#include <span>

namespace txstream::outbox {

// Finding events by time. No index has created_at: writers would pay for it. But ids grow about
// with it, and so the primary key can be searched by halves, about 24 probes of 31 neighbouring
// events each in ten millions. The middle one of them decides: a few clocks that are wrong mislead
// nothing.

/// Where a time lies among the ids.
struct IdsAt {
    std::int64_t first;   ///< no event with a lower id has this time, or a later one
    std::int64_t behind;  ///< all from here on have it, or a later one
};
/// Nothing where there are no events.
Task<Result<std::optional<IdsAt>>> ids_at(pg::Connection& connection, Time time, Deadline deadline);

/// An event is looked for by its key, among so many that are next to the time, on either side.
struct Trail {
    std::string key;
    Time about;
    std::optional<std::string> event_id = {};  ///< none: the first that is found
};
/// Of each trail the event, in its place. Each may read 2 × rows_max events.
Task<Result<std::vector<std::optional<EventRow>>>> events_near(
    pg::Connection& connection,
    std::span<const Trail> trails,
    std::size_t rows_max,
    Deadline deadline
);

/// The event that the trail leads to, and those of its key that follow it among the next 20,000 of
/// all; by id.
Task<Result<std::vector<EventRow>>> events_of_key(
    pg::Connection& connection, Trail trail, Deadline deadline
);

}  // namespace txstream::outbox
