#pragma once

#include "base/error.hpp"
#include "base/strong.hpp"
#include "outbox/event.hpp"
#include "outbox/snapshot.hpp"
#include "pg/connection.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

// Snapshot cursor: reads the outbox without missing or repeating an event, however slow a writer
// is.
//
// Ids are handed out when a row is inserted, but rows become visible when their transaction
// commits. A reader that remembers "the highest id seen" skips the event whose transaction was
// slower than its neighbour's.
//
// Each event stores the id of the transaction that wrote it, and a lane remembers a whole snapshot
// (its cursor) instead of a number. The next window is exactly what is visible now and was not
// visible in the cursor: transactions that began after it (xid >= xmax) and those that were running
// in it (xid in xip). A slow transaction stays in the list of running ones and its events are
// picked up, alone, when it ends; nobody waits for it.
//
// The target of a window is a snapshot taken by an earlier statement than the one that reads
// events. What it sees had ended by then, so every committed event of it is visible to the later
// statement; what it does not see is left to the next window.
//
// Price: eight bytes with each event, and a cursor that means nothing in another cluster.
//
// Refused: the xmin watermark (one forgotten transaction stops the relay), NOTIFY in the writer's
// transaction (a global lock at commit), SKIP LOCKED on events (loses the order of a key, one dead
// tuple for each event).
namespace txstream::outbox {

/// The migration makes no more of them.
inline constexpr std::size_t kLanesMax = 256;

/// Settings of a session that reads the outbox, one SQL script. Wrong plans cost a factor of ten
/// and more (docs/adr/0006-partitioning.md): enable_sort=off is what keeps paging on the primary
/// key.
extern const char* const kReaderSettings;

/// The snapshot of this moment. Fails with Code::rejected on a hot standby, whose snapshots hide
/// running transactions.
Task<Result<Snapshot>> current_snapshot(pg::Connection& connection, Deadline deadline);

/// What bounds a page. The statement itself keeps to it, so that nothing larger is brought out of
/// the database.
struct PageLimit {
    enum class Count : std::uint8_t {
        /// Each event may have its even share of the bytes; larger ones come without their content.
        /// Costs nothing.
        shares,
        /// The page ends with the event that fills it. For large events: the sum costs as much as
        /// reading a small one (1.7 us for a row).
        sum,
    };
    std::size_t rows;
    std::size_t bytes;
    /// Of a larger event the content is left out too: it can never be sent. At most 1 GB.
    std::size_t event_bytes;
    Count count = Count::shares;

    std::size_t share() const { return std::min(bytes / rows, event_bytes); }
};
/// So many of the events, from the first on, came with all that can be sent of them.
std::size_t whole_events(const Events& events, const PageLimit& limit);
/// The limit cut the whole ones off: there may be more.
bool is_cut(const Events& events, const PageLimit& limit);

/// Events of the lanes that `target` sees and `cursor` does not, in order of (id, xid). When they
/// are cut, any may be missing: throw them away and page the window.
Task<Result<Events>> read_window(
    pg::Connection& connection,
    std::span<const LaneId> lanes,
    const Snapshot& cursor,
    const Snapshot& target,
    PageLimit limit,
    Deadline deadline
);

/// One statement of a longer scan.
struct ScanStep {
    std::size_t rows = 100'000;  ///< a transaction that has more is taken as a whole
    std::chrono::milliseconds timeout{30000};
};

/// An id that is not above the lowest of the window, in whatever lane; nothing where no event can
/// be.
///
/// Ids are in no order of transactions, so this takes one look at the whole window, which after a
/// long outage has no bound that a statement could have: it goes in steps. (Ending the window
/// earlier, at some transaction, would tear apart what was committed in an order: of two
/// transactions that write a key one after the other, the later may have the lower xid.)
Task<Result<std::optional<EventSeq>>> first_id(
    pg::Connection& connection, const Snapshot& cursor, const Snapshot& target, ScanStep step
);

/// An id that is not below any that a snapshot from before this call sees.
Task<Result<EventSeq>> highest_id(pg::Connection& connection, Deadline deadline);

/// A part of a window that is read in the order of (id, xid).
struct PageQuery {
    std::vector<LaneId> lanes;  ///< events of others are skipped by the server
    Snapshot cursor;
    Snapshot target;
    EventSeq after;  ///< not included
    EventSeq up_to;  ///< included
    PageLimit limit;
};

/// The statement for a page: send it, then receive the page, so that the server reads while the
/// caller publishes.
Result<> send_page(pg::Connection& connection, const PageQuery& query);
Task<Result<Events>> receive_page(pg::Connection& connection, Deadline deadline);

}  // namespace txstream::outbox
