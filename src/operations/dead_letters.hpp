#pragma once

#include "operations/selection.hpp"
#include "pg/connection.hpp"
#include "runtime/deadline.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

// Replay and discard of dead letters.
//
// An operator decides, the relay carries it out. A decision is a change of the letter's state, so
// it outlives this process, and the owner of the letter's lane, which alone may send events of the
// key, finds it. plan() says what a decision would do. apply() does what was planned, or nothing
// when it would be more by now. wait() looks until the owner has carried it out.
//
// Order is the owner's to keep: it works off a key's queue from its front and stops at a letter
// that is parked for its own sake. So a letter behind such a one cannot be sent, and a replay that
// names one is refused, or leaves it out and says so.
namespace txstream::operations {

/// Of errors of plan() and apply() that the state of the letters causes; their code is `conflict`.
/// The texts say what to do instead.
inline constexpr const char* kLetterOrigin = "letter_state";

struct Plan {
    outbox::Decision decision = outbox::Decision::replay;
    outbox::LetterSelection letters;
    outbox::DecisionCounts counts;
    std::string target;  ///< for the audit
};

/// Letters that a plan shows.
inline constexpr std::size_t kSample = 5;

/// Looks only. Code::not_found: no such letter. Code::conflict: the one letter that was named is
/// decided already, is held, or stands behind another one that has to be decided first.
Task<Result<Plan>> plan(
    pg::Connection& connection, outbox::Decision decision, Selection selection, Deadline deadline
);

struct Authority {
    std::string actor;
    std::string origin;  ///< cli, console
    std::string reason;
    /// Without it, no more letters than the plan has.
    std::optional<std::uint64_t> letters_max;
    std::size_t step = outbox::kDecisionStep;
    /// Told of each transaction that has decided about letters, at once.
    std::function<void(const outbox::DecisionStep&)> on_step{};
};
struct Applied {
    std::vector<EventSeq> letters;
    /// Why the rest was not decided. What `letters` has stays decided.
    std::optional<Error> ended_by;
};
/// Decides. Up to `step` letters are one transaction with the row of the audit. More are several,
/// each with its own row, so that no statement holds 100,000 rows: what one has committed stays.
/// Code::conflict: more letters match by now than were planned, nothing was changed.
/// Code::timed_out: it is unknown whether anything was; the audit says it.
Task<Result<Applied>> apply(
    pg::Connection& connection, Plan plan, Authority authority, Deadline deadline
);

struct Outcome {
    std::uint64_t replayed = 0;
    std::uint64_t discarded = 0;
    std::uint64_t parked_again = 0;  ///< refused once more; their new errors say why
    std::uint64_t waiting = 0;       ///< not carried out when the time was up
};
/// Looks about twice a second until the owners have carried out what was decided, at most until the
/// deadline.
Task<Result<Outcome>> wait(
    pg::Connection& connection,
    outbox::Decision decision,
    std::vector<EventSeq> letters,
    Deadline deadline
);

}  // namespace txstream::operations
