#pragma once

#include "base/strong.hpp"
#include "outbox/snapshot.hpp"
#include "pg/connection.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace txstream::outbox {

// Whether everything that was committed before a moment has been delivered. A transaction that
// commits after it is not asked about, whenever it began.

/// The moment.
struct Mark {
    Snapshot snapshot;
    std::int64_t newest_id = 0;  ///< no event that the snapshot sees has a greater one
};
/// Now. Code::corrupt: what positions say is not true here (outbox/instance.hpp).
Task<Result<Mark>> mark_now(pg::Connection& connection, Deadline deadline);

struct Undelivered {
    struct Lane {
        LaneId lane;
        std::uint64_t events = 0;
    };
    /// Those with an event before the mark that is neither acknowledged nor parked.
    std::vector<Lane> lanes;
    bool is_exact = true;  ///< false: there are more events than were counted
    /// Events before the mark that are among the dead letters and wait there. They are settled:
    /// delivery does not wait for them.
    std::uint64_t parked = 0;
    bool is_parked_exact = true;

    std::uint64_t events() const {
        std::uint64_t sum = 0;
        for (const auto& one : lanes) sum += one.events;
        return sum;
    }
    bool is_nothing() const { return lanes.empty(); }
};

/// Counts up to `counted_max` events for each position at which lanes are, and as many dead
/// letters. Where nothing waits, what was published behind the positions is walked over: ten
/// seconds of it, since a relay names all lanes that often.
Task<Result<Undelivered>> read_undelivered(
    pg::Connection& connection, Mark mark, std::size_t counted_max, Deadline deadline
);

}  // namespace txstream::outbox
