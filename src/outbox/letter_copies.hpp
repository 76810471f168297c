#pragma once

#include "outbox/event.hpp"
#include "outbox/letters.hpp"
#include "pg/connection.hpp"

#include <cstdint>
#include <string>
#include <vector>

// Dead letters that are to be copied to a topic of their own. Which ones are is said when they are
// parked (ParkedEvent::is_copied): until a copy is confirmed the letter says so in its row, so that
// no crash in between loses one.
namespace txstream::outbox {

/// Why the event is among the dead letters.
struct LetterFault {
    std::string event_id;
    std::int64_t attempts = 0;
    std::string error_class;
    std::string error;
    std::string first_attempt_at;  ///< RFC 3339
    std::string last_attempt_at;
};

struct LettersToCopy {
    Events events;
    std::vector<LetterFault> faults;  ///< of each
};

/// The first ones of these lanes; fewer than `limit.rows` where there are no more, or for their
/// size.
Task<Result<LettersToCopy>> letters_to_copy(
    pg::Connection& connection, std::vector<LaneId> lanes, LetterLimit limit, Deadline deadline
);

/// What was copied, or can never be.
struct CopiedLetter {
    EventSeq id;
    std::string event_id;
    std::int64_t attempts = 0;  ///< as it was copied; with more it is to be copied again
};
Task<Result<>> letters_copied(
    pg::Connection& connection, std::vector<CopiedLetter> letters, Deadline deadline
);

}  // namespace txstream::outbox
