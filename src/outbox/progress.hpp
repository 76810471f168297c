#pragma once

#include "base/strong.hpp"
#include "outbox/snapshot.hpp"

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What is said of lanes and of how far they have come: values, which those that decide need without
// a database.
namespace txstream::outbox {

/// A lane as its new owner found it.
struct ClaimedLane {
    LaneId lane;
    Epoch epoch;
    Snapshot cursor;
    std::optional<Snapshot> target;  ///< a window was being paged
    EventSeq last_id;                ///< of the window, as far as it was acknowledged
    std::vector<std::string> held_keys;
    /// Of them, those whose first letter may be sent.
    std::vector<std::string> due_keys{};
};

/// A key of a lane, and which of its letters: those that hold it, or those that do not.
struct LaneKey {
    LaneId lane;
    std::string key;
    bool holds = true;

    friend auto operator<=>(const LaneKey&, const LaneKey&) = default;
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
    bool waits = false;      ///< it is its topic that takes nothing, not this event
    bool holds = true;       ///< later events of its key wait behind it
    bool is_copied = false;  ///< to the topic for dead letters
};

/// Where events went: offsets of Kafka. Records of other producers may lie between.
struct RecordRange {
    std::string topic;
    std::int32_t partition = 0;
    std::int64_t first = 0;
    std::int64_t last = 0;
};

/// Widens the range of its topic and partition, or adds it.
void add_records(std::vector<RecordRange>& all, RecordRange range);

/// Events that were published together: those of these lanes that `target` sees and `cursor` does
/// not. All its lanes came to the same position with it.
struct Publication {
    std::vector<LaneId> lanes;
    EventSeq first_id;
    EventSeq last_id;
    std::int64_t events = 0;
    Snapshot cursor;
    Snapshot target;
    std::vector<RecordRange> records;  ///< one for each topic and partition
};

}  // namespace txstream::outbox
