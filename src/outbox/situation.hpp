#pragma once

#include "base/error.hpp"
#include "base/strong.hpp"
#include "pg/connection.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace txstream::outbox {

using Moment = std::chrono::sys_time<std::chrono::microseconds>;

/// What the tables say at one moment about whether events are delivered. Cheap: it reads the lanes
/// and no event but the newest.
struct Situation {
    Moment now;                   ///< the server's clock
    bool is_in_recovery = false;  ///< a standby
    bool is_read_only = false;    ///< sessions cannot write, unless they say so
    std::int64_t lanes = 0;
    std::int64_t lanes_owned = 0;
    bool was_ever_owned = false;  ///< some lane, by any relay
    /// When the last lane lost its owner, where a lease ended without another claim.
    std::optional<Moment> unowned_since;
    std::optional<Moment> advanced_at;  ///< a cursor moved last
    std::optional<Moment> newest_event_at;
    bool is_foreign = false;  ///< txstream.instance is refused
    std::optional<Moment> refused_at;
    std::string refused_why;
};
Task<Result<Situation>> read_situation(pg::Connection& connection, Deadline deadline);
/// The role whose rights count, to name it where they do not suffice.
Task<Result<std::string>> role_of(pg::Connection& connection, Deadline deadline);

/// A table of the outbox that nobody can read at the moment, and the session that holds it.
struct TableLock {
    std::string table;  ///< txstream.positions
    std::int64_t pid = 0;
    std::string application;  ///< empty: none, or not for our eyes
    std::string user;
    std::optional<Moment> since;  ///< its transaction's begin, at the earliest
};
struct TableLocks {
    Moment now;  ///< the server's clock
    std::vector<TableLock> locks;
};
/// Waits for none of them.
Task<Result<TableLocks>> read_locks(pg::Connection& connection, Deadline deadline);

/// How many events wait in these lanes, and of how many keys: `events_max` for each lane at most,
/// among as many of all lanes.
struct Waiting {
    std::uint64_t events = 0;
    std::uint64_t keys = 0;
    bool is_exact = true;  ///< false: at least so many
};
Task<Result<Waiting>> count_waiting(
    pg::Connection& connection,
    const std::vector<LaneId>& lanes,
    std::int64_t events_max,
    Deadline deadline
);

/// Dead letters that wait for a decision, by their class.
struct ParkedClass {
    std::string error_class;
    std::uint64_t events = 0;
    std::uint64_t recent = 0;  ///< of these, parked in the last ten minutes
    Moment first_at;
    Moment last_at;
};
struct Parked {
    std::vector<ParkedClass> classes;  ///< the largest first
    bool is_exact = true;              ///< false: there are more than were counted
};
Task<Result<Parked>> read_parked(
    pg::Connection& connection, std::int64_t counted_max, Deadline deadline
);

/// A lane as the table has it.
struct LaneRow {
    LaneId lane;
    std::optional<std::string> owner;
    std::int64_t epoch = 0;
    std::optional<Moment> lease_ends_at;
    std::optional<Moment> taken_at;  ///< by this owner
    bool is_owned = false;           ///< by the server's clock
    /// Its position: events that `cursor` sees are published; while a window with more than a page
    /// is worked off, those that `target` sees are too, up to `last_id`.
    std::string cursor;
    std::optional<std::string> target;
    std::int64_t last_id = 0;
    std::optional<Moment> advanced_at;
    std::int64_t published = 0;
    std::int64_t parked = 0;
    std::int64_t held_keys = 0;  ///< with a dead letter that waits, as far as they were counted
};
Task<Result<std::vector<LaneRow>>> read_lanes(
    pg::Connection& connection, std::int64_t held_counted_max, Deadline deadline
);

}  // namespace txstream::outbox
