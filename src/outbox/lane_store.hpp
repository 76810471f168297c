#pragma once

#include "base/error.hpp"
#include "base/strong.hpp"
#include "outbox/event.hpp"
#include "outbox/snapshot.hpp"
#include "pg/connection.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace txstream::outbox {

/// A lane as its new owner found it.
struct ClaimedLane {
    LaneId lane;
    Epoch epoch;
    Snapshot cursor;
    std::optional<Snapshot> target;  ///< a window was being paged
    EventSeq last_id;                ///< of the window, as far as it was acknowledged
    std::vector<std::string> held_keys;
};

/// How far a lane has come. Without a target the window is done and `cursor` is the new cursor.
struct LaneProgress {
    LaneId lane;
    Epoch epoch;
    Snapshot cursor;
    std::optional<Snapshot> target;
    EventSeq last_id;
    std::int64_t published = 0;
};

/// An event to be moved aside, in the transaction that moves the cursor past it.
struct ParkedEvent {
    EventSeq id;
    int attempts = 0;  ///< 0: held behind another event of its key
    std::string error_class;
    std::string error;
};

/// The page that an acknowledgement covers, for txstream.publications.
struct Publication {
    std::vector<LaneId> lanes;
    EventSeq first_id;
    EventSeq last_id;
    std::int64_t events = 0;
    Snapshot cursor;
    Snapshot target;
    /// Where they went, a JSON array: [{"topic","partition","first","last"}], offsets of Kafka.
    std::string records = "[]";
};

/// How many lanes the outbox has; fixed when it was migrated.
Task<Result<std::size_t>> lane_count(pg::Connection& connection, Deadline deadline);

/// Some lane has no owner whose lease has not ended: its events wait.
Task<Result<bool>> has_unowned_lanes(pg::Connection& connection, Deadline deadline);

/// Claims up to `limit` lanes that are free or whose lease has ended, by the database's clock, and
/// those that the table holds for the owner beside the `owned` ones.
/// Fails as check_instance() does, without claiming anything.
Task<Result<std::vector<ClaimedLane>>> claim_lanes(
    pg::Connection& connection,
    std::string owner,
    std::vector<LaneId> owned,
    std::size_t limit,
    std::chrono::milliseconds lease,
    Deadline deadline
);

/// Prolongs the leases of these lanes, and of no other that the table holds for the owner: a lane
/// whose claim was answered to nobody must become free. Gives back those that are still the
/// owner's; a missing one is lost.
Task<Result<std::vector<LaneId>>> renew_lanes(
    pg::Connection& connection,
    std::string owner,
    std::vector<LaneId> lanes,
    std::chrono::milliseconds lease,
    Deadline deadline
);

/// Moves the cursors of the lanes, in one transaction; gives back the lanes that were still under
/// their epoch. Another owner's progress is never overwritten: a missing lane is lost. Cursors may
/// be lost in a crash of the server (duplicates, never a loss), so nothing is waited for on disk.
/// May be repeated when it is unknown whether it was applied.
Task<Result<std::vector<LaneId>>> advance_lanes(
    pg::Connection& connection,
    std::vector<LaneProgress> lanes,
    std::vector<Publication> publications,
    Deadline deadline
);

/// How an event is put among the dead letters. `bare` is the last resort where the whole cannot be
/// stored: its content stays in the outbox.
enum class DeadLetter : std::uint8_t { whole, bare };

/// Parks events of one lane and moves its cursor, durably, in one transaction. False: the lane is
/// lost, nothing was done. Texts of errors are made storable, whatever they are.
Task<Result<bool>> park_and_advance(
    pg::Connection& connection,
    LaneProgress lane,
    std::vector<ParkedEvent> parked,
    Publication publication,
    DeadLetter form,
    Deadline deadline
);

/// Gives the lanes up, so that others need not wait for the leases to end.
Task<Result<>> release_lanes(pg::Connection& connection, std::string owner, Deadline deadline);

}  // namespace txstream::outbox
