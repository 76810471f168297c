#pragma once

#include "base/strong.hpp"
#include "outbox/snapshot.hpp"
#include "pg/connection.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace txstream::outbox {

struct Backlog {
    std::uint64_t pending = 0;
    std::vector<std::uint64_t> pending_by_lane;
    bool is_estimate = false;  ///< of some lane more waits than is counted
    std::int64_t settled = 0;  ///< published and parked so far, as the lanes count
    /// Committed since the outbox was made. Never falls, but for a restore. While it is an estimate
    /// it grows by what becomes visible.
    std::int64_t appended = 0;
    std::uint64_t parked = 0;
    /// In proportion, where they are more than BacklogMeter::Limits::parked_counted_max. Looked at
    /// when the lanes say that there are more, and every Limits::parked_age.
    std::vector<std::pair<std::string, std::uint64_t>> parked_by_event_type;
    /// Unix time of the oldest event that is not published; 0: none. Of an event whose created_at
    /// cannot be true (in the future, a month ago) the time since nothing was published.
    double oldest_pending = 0;
    /// Seconds for which the position of some lane with events that wait has not moved, the
    /// longest; as exact as measurements are far apart. Unlike an old event in a backlog that is
    /// worked off, an old position says that nothing moves there.
    double position_age = 0;
};

/// What was counted of one lane that has more than was counted: `events` wait among those whose ids
/// go from `first` to `last`; the newest of all is `newest`. Ids of all lanes come from one
/// sequence, so a stretch of ids holds about as many of a lane as the next.
std::uint64_t estimated_pending(
    std::uint64_t events, std::int64_t first, std::int64_t last, std::int64_t newest
) noexcept;

/// Knows how many events wait, without counting the table again and again.
///
/// The first measure() counts what the lanes' cursors do not cover, up to a limit; above it, it
/// estimates. Later ones count only what has become visible since the one before, so
/// each event is counted once in its life; what was published or parked meanwhile is known from the
/// lanes' own counters. Both are read by one statement, in one snapshot. An estimate is made again
/// every Limits::estimate_age, until all can be counted. One owner; the sessions may change.
class BacklogMeter {
public:
    struct Limits {
        /// Events that are walked over, in equal parts for each position at which lanes are.
        std::int64_t counted_max = 100'000;
        std::int64_t parked_counted_max = 100'000;
        std::chrono::milliseconds estimate_age{60'000};
        std::chrono::milliseconds parked_age{10'000};
    };

    BacklogMeter() : BacklogMeter(Limits{}) {}
    explicit BacklogMeter(Limits limits) : limits_(limits) {}

    Task<Result<Backlog>> measure(pg::Connection& connection, Deadline deadline);
    /// What was known is not to be trusted any more: the next measure() counts everything again.
    void forget() { seen_.reset(); }

private:
    struct Lane {
        std::int64_t appended = 0;
        std::int64_t settled = 0;
        std::int64_t settled_before = -1;  ///< at the last measure()
        double moved_at = 0;               ///< the server's time when it moved, or nothing waited
    };

    std::int64_t total() const;
    bool has_old_estimate(Deadline::Clock::time_point now) const;
    Task<Result<>> count_all(pg::Connection& connection, Deadline deadline);
    Task<Result<std::int64_t>> count_new(pg::Connection& connection, Deadline deadline);
    double position_age();
    Task<Result<>> count_parked(pg::Connection& connection, Deadline deadline);
    Task<Result<double>> oldest_pending(pg::Connection& connection, Deadline deadline) const;

    Limits limits_;
    std::optional<Snapshot> seen_;  ///< up to here events are in `appended`
    std::vector<Lane> lanes_;
    bool is_estimate_ = false;
    std::int64_t appended_ = 0;  ///< in all, as it was told
    Deadline::Clock::time_point counted_at_{};
    double now_ = 0;                   ///< the server's, of the last statement
    std::int64_t settled_ = -1;        ///< at the last measure()
    double waiting_since_ = 0;         ///< Unix time when something was last seen to be published
    std::int64_t parked_so_far_ = -1;  ///< as the lanes count
    std::int64_t parked_so_far_counted_ = -1;  ///< at the last look at the dead letters
    Deadline::Clock::time_point parked_at_{};
    std::uint64_t parked_ = 0;
    std::vector<std::pair<std::string, std::uint64_t>> parked_by_event_type_;
};

/// How old the oldest event is that is not published, by the server's clock. Nothing when there is
/// none, or when its created_at cannot be true. Cheap: looks at the next event of each position.
Task<Result<std::optional<std::chrono::seconds>>> oldest_pending_age(
    pg::Connection& connection, Deadline deadline
);

/// When the oldest event that waits in each of these lanes was created; a lane without one, or with
/// a created_at that cannot be true, is left out, and so is one whose first is not among the next
/// `walked_max` events behind its position.
Task<Result<std::map<LaneId, std::chrono::sys_time<std::chrono::microseconds>>>> oldest_by_lane(
    pg::Connection& connection,
    std::vector<LaneId> lanes,
    std::int64_t walked_max,
    Deadline deadline
);

/// What the tables take on disk, indexes included; no table is read.
struct TableSizes {
    std::uint64_t outbox_bytes = 0;
    std::uint64_t oldest_partition_bytes = 0;
    std::uint64_t partitions = 0;
    std::uint64_t dead_letters_bytes = 0;
    std::uint64_t positions_bytes = 0;
    /// Rows that were ever appended to txstream.positions: its ids have no gaps worth mentioning.
    std::uint64_t positions_appended = 0;
};
Task<Result<TableSizes>> table_sizes(pg::Connection& connection, Deadline deadline);

}  // namespace txstream::outbox
