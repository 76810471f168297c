#pragma once

#include "outbox/snapshot.hpp"
#include "pg/connection.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace txstream::outbox {

struct Backlog {
    std::uint64_t pending = 0;
    std::int64_t settled = 0;  ///< published and parked so far, as the lanes count
    std::uint64_t parked = 0;
    std::vector<std::pair<std::string, std::uint64_t>> parked_by_event_type;
    /// Unix time of the oldest event that is not published; 0: none. Of an event whose created_at
    /// cannot be true (in the future, a month ago) the time since nothing was published.
    double oldest_pending = 0;
};

/// Knows how many events wait, without counting the table again and again.
///
/// The first measure() counts what the lanes' cursors do not cover. Later ones count only what has
/// become visible since the one before, so each event is counted once in its life; what was
/// published or parked meanwhile is known from the lanes' own counters. Both are read by one
/// statement, in one snapshot. One owner; the sessions may change.
class BacklogMeter {
public:
    Task<Result<Backlog>> measure(pg::Connection& connection, Deadline deadline);
    /// What was known is not to be trusted any more: the next measure() counts anew.
    void forget() { seen_.reset(); }

private:
    std::optional<Snapshot> seen_;  ///< up to here events are in `appended_`
    std::int64_t appended_ = 0;
    std::int64_t settled_ = -1;  ///< at the last measure()
    double waiting_since_ = 0;   ///< Unix time when something was last seen to be published
};

/// How old the oldest event is that is not published, by the server's clock. Nothing when there is
/// none, or when its created_at cannot be true. Cheap: looks at one event of each lane.
Task<Result<std::optional<std::chrono::seconds>>> oldest_pending_age(
    pg::Connection& connection, Deadline deadline
);

}  // namespace txstream::outbox
