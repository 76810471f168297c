#pragma once

#include "outbox/event.hpp"
#include "outbox/progress.hpp"

#include <cstddef>
#include <string>
#include <vector>

// What a lane's owner reads and writes of dead letters that are sent after all.
//
// A key's letters that are `parked` or `replaying` are a queue, in the order of (id, xid). It is
// worked off from its front: what an operator wants sent, and what has no fault of its own (class
// `held`), is sent; it stops at the first that is parked for its own sake. When nothing is left the
// key is free again. A letter that waits for its topic is decided about by the lanes' owner: one of
// each topic now and then, and all of them once one has arrived.
//
// A letter that does not hold its key is in no queue: it is sent when it is `replaying`, whatever
// else the key has, and stops nothing.
namespace txstream::outbox {

/// Keys with decisions that have not been carried out; there may be more.
struct Decisions {
    std::vector<LaneKey> keys;
    bool is_cut = false;
};

/// Of a read of letters: keys, events and bytes (of their content) at most, and how large one may
/// be to come with its content.
struct LetterLimit {
    std::size_t rows;
    std::size_t bytes;
    std::size_t event_bytes;
};

/// The first letters of some keys.
struct Letters {
    Events events;  ///< key by key, as they were asked for, each in its order
    /// Of each event: which of the keys it is of, and whether it is parked for its own sake.
    std::vector<std::size_t> key;
    std::vector<bool> stops;
    /// The last key may have more, and those behind it have been left out.
    bool is_cut = false;
};

/// What became of a letter that was sent.
struct SettledLetter {
    EventSeq id;
    std::string event_id;
    int attempts = 0;         ///< more than it had
    std::string error_class;  ///< empty: Kafka has it
    std::string error;
    bool waits = false;      ///< it is its topic that takes nothing
    bool holds = true;       ///< false: it holds its key no longer
    bool is_copied = false;  ///< to the topic for dead letters, again
};

/// Which letters that wait for their topics are to be tried again.
struct Revival {
    /// As they were stored, the default topic as an empty one; empty: all.
    std::vector<std::string> topics;
    std::size_t letters;                       ///< of each topic at most, the first of their lanes
    std::vector<std::string> paused_topics{};  ///< but none of these
    std::vector<std::string> paused_keys{};
};

}  // namespace txstream::outbox
