#pragma once

#include "outbox/event_row.hpp"
#include "pg/connection.hpp"

#include <limits>

namespace txstream::outbox {

// Searching events for people, newest first.
//
// The outbox has two indexes, by (id, xid) and by (xid, id), and no more for the sake of a page:
// writers would pay. What these, and those of the dead letters, can find is exact: an id, what is
// pending, what is parked. All else walks from the newest event back, a named number of events and
// no longer than a named time, says how far it looked, and goes on from there when asked.

struct SearchLimits {
    std::size_t rows = 50;                 ///< of a page
    std::size_t step_rows = 10'000;        ///< events that one statement walks over
    std::size_t walked_max = 1'000'000;    ///< events that one search walks over, of all lanes
    std::chrono::milliseconds time{1000};  ///< after it no further statement begins
    /// So many events of all lanes behind a position are read from there on; where more are, nearly
    /// all of the newest of its lanes wait, and are walked over.
    std::size_t pending_rows = 5'000;
    /// How far a writer's clock may be from the order of ids.
    std::chrono::seconds clock_slack{60};
};

struct EventSearch {
    EventFilter filter;
    std::string default_topic;  ///< of events that name none
    /// Where the page before ended; nothing: at the newest event.
    std::optional<EventSeq> before = std::nullopt;
    SearchLimits limits = {};
    /// An aggregate's events in every lane: those with a key of their own are not in its own.
    bool in_every_lane = false;
};

struct EventsFound {
    std::vector<EventRow> events;     ///< newest first
    std::optional<EventSeq> before;   ///< of the next page; nothing: this was the last
    bool is_exact = false;            ///< an index served it: what is not here does not exist
    std::size_t searched = 0;         ///< events that were looked at
    std::optional<Time> back_to;      ///< when the oldest of them was created
    std::vector<std::int16_t> lanes;  ///< that were searched; empty: all
};

Task<Result<EventsFound>> search_events(
    pg::Connection& connection, EventSearch search, Deadline deadline
);

}  // namespace txstream::outbox
