#pragma once

#include "operations/selection.hpp"
#include "outbox/jobs.hpp"
#include "pg/connection.hpp"
#include "runtime/deadline.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

// Replay and discard of dead letters.
//
// An operator decides, the relay carries it out. A decision is a change of the letter's state, so
// it outlives this process, and the owner of the letter's lane, which alone may send events of the
// key, finds it. plan() says what a decision would do. start() makes a job of what was planned, or
// does nothing when it would be more by now: few letters it decides about itself, many are decided
// by relays. wait() looks until the owners have carried it out.
//
// Order is the owner's to keep: it works off a key's queue from its front and stops at a letter
// that is parked for its own sake. So a letter behind such a one cannot be sent, and a replay that
// names one is refused, or leaves it out and says so.
namespace txstream::operations {

/// Of errors that the state of the letters, or of the job, causes; their code is `conflict`.
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
    std::optional<std::uint64_t> letters_max{};
    /// Letters a second, decided by relays; without it, as fast as they are carried out.
    std::optional<std::int64_t> rate{};
    /// More letters than this are decided by relays. Not more than kDecisionStep.
    std::size_t at_once_max = outbox::kDecisionStep;
};
struct Started {
    std::int64_t job = 0;       ///< its number
    std::uint64_t letters = 0;  ///< that it is about
    bool is_decided = false;    ///< false: relays decide about them, step by step
};
/// Makes the job of a plan that has letters, and decides about few letters at once: one transaction
/// with the row of the audit.
/// Code::conflict: more letters match by now than were planned, or none; nothing was changed.
/// Code::timed_out: it is unknown whether anything was; the list of jobs says it.
Task<Result<Started>> start(
    pg::Connection& connection, Plan plan, Authority authority, Deadline deadline
);

/// Looks about twice a second until the job has ended, at most until the deadline, and returns what
/// it saw last. `on_look` is told of each look. Code::not_found: there is no such job.
Task<Result<outbox::Job>> wait(
    pg::Connection& connection,
    std::int64_t job,
    std::function<void(const outbox::Job&)> on_look,
    Deadline deadline
);

/// No more letters are decided; what is decided is carried out. Returns the job as it is then.
/// Code::not_found: there is no such job. Code::conflict: it decides no more, the text says why.
Task<Result<outbox::Job>> cancel(
    pg::Connection& connection, std::int64_t job, Authority authority, Deadline deadline
);

}  // namespace txstream::operations
