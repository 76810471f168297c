#pragma once

#include "outbox/dead_letter_decisions.hpp"
#include "outbox/event_row.hpp"
#include "pg/connection.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Jobs: decisions about dead letters, in txstream.jobs.
//
// Each replay or discard is one. A job of few letters is decided in the transaction that makes it;
// a larger one, or one with a rate, step by step by whatever relay is there: a step is one
// statement, which takes the job's row, decides, and writes down how far the job is. So nothing of
// a job is in a process that could die with it, and any number of relays may take steps.
//
// Each letter has the number of the job that decided it last, so progress is counted.
namespace txstream::outbox {

enum class JobState : std::uint8_t {
    waiting,    ///< for its first step
    running,    ///< letters are decided, or are being carried out
    done,       ///< all that it decided is carried out
    cancelled,  ///< no more letters are decided
    failed      ///< no more letters are decided: `error` says why
};
std::string_view to_string(JobState state) noexcept;
std::optional<JobState> parse_job_state(std::string_view word) noexcept;

struct Job {
    std::int64_t id = 0;
    Decision decision = Decision::replay;
    JobState state = JobState::waiting;
    std::string selection;             ///< JSON object: what was asked for, as in txstream.audit
    std::string login;                 ///< whom the database let in
    std::string actor;                 ///< whom the program names
    std::string origin;                ///< cli, console
    std::string reason;                ///< empty: none
    std::optional<std::int64_t> rate;  ///< letters a second at most
    std::uint64_t total = 0;           ///< letters that it is about
    std::uint64_t decided = 0;         ///< of these until now
    /// Of the decided ones. Together they are `decided`; final when the job has ended.
    std::uint64_t waiting = 0;       ///< no relay has carried out
    std::uint64_t carried_out = 0;   ///< replayed, or discarded
    std::uint64_t parked_again = 0;  ///< of a replay: refused once more
    Time created_at;
    std::optional<Time> started_at;  ///< the first letters were decided
    std::optional<Time> decided_at;  ///< since then no more letters are decided
    std::optional<Time> ended_at;    ///< a relay has found it ended
    std::optional<Time> cancelled_at;
    std::string cancelled_by;
    std::string cancel_reason;
    std::string runner;  ///< the relay that took the last step; empty: none has
    std::string error;   ///< why it failed
    Time now;            ///< the server's clock

    /// Letters are still to be decided: it can be cancelled.
    bool is_deciding() const noexcept { return !decided_at && !cancelled_at; }
    /// All that it decided is carried out. `ended_at` is written within seconds, where a relay is.
    bool has_ended() const noexcept { return !is_deciding() && waiting == 0; }
};

struct JobFilter {
    std::optional<std::int64_t> before{};  ///< only those with a smaller number
    std::optional<JobState> state{};
    bool is_open = false;  ///< only those that have not ended
};
/// The newest first.
Task<Result<std::vector<Job>>> jobs(
    pg::Connection& connection, JobFilter filter, std::size_t limit, Deadline deadline
);
Task<Result<std::optional<Job>>> job(
    pg::Connection& connection, std::int64_t id, Deadline deadline
);

/// Letters a second.
inline constexpr std::int64_t kJobRateMax = 100'000;

/// Jobs whose letters are still to be decided.
inline constexpr std::size_t kJobsDecidingMax = 100;

/// Decides nothing: relays do, about `total` letters at most. Returns the job's number; nothing
/// where kJobsDecidingMax others are to be decided. One transaction with its row in txstream.audit.
Task<Result<std::optional<std::int64_t>>> create_job(
    pg::Connection& connection,
    Decision decision,
    std::uint64_t total,
    std::optional<std::int64_t> rate,
    Signature signature,
    Deadline deadline
);

/// From its commit on no more letters are decided; false: there is no such job, or it decides no
/// more. One transaction with its row in txstream.audit; the signature's target is not used.
Task<Result<bool>> cancel_job(
    pg::Connection& connection, std::int64_t id, Signature signature, Deadline deadline
);

/// Whether this login has the rights of txstream_operator that jobs need.
Task<Result<bool>> may_decide(pg::Connection& connection, Deadline deadline);

// --- what relays do

/// Settings of a session that takes steps. Without sorts a step walks the letters in their order
/// from where the last one ended, whatever the statistics say; each would sort all that are left.
extern const char* const kJobSettings;

/// What is taken at once; of each job, so that one that is paused stops no other.
struct JobLimits {
    std::size_t step = 2'500;     ///< letters
    std::size_t in_hand = 5'000;  ///< decided and not carried out: no step goes beyond
};

/// A job of which a step is due: where it has a rate, a second after the last one.
struct DueJob {
    std::int64_t id = 0;
    Decision decision = Decision::replay;
    std::string selection;
    EventSeq after;             ///< the last letter that was looked at
    std::uint64_t letters = 0;  ///< that the step may take
};
/// The one whose last step is longest ago.
Task<Result<std::optional<DueJob>>> due_job(
    pg::Connection& connection, JobLimits limits, Deadline deadline
);

struct JobStep {
    bool is_taken = false;      ///< false: another relay was faster, or it was cancelled
    std::uint64_t decided = 0;  ///< by this step
};
/// Decides about the next letters, notes them in txstream.audit, and writes down how far the job
/// is and which relay took the step: one statement.
Task<Result<JobStep>> take_step(
    pg::Connection& connection,
    DueJob job,
    LetterSelection letters,
    std::string runner,
    Deadline deadline
);

/// No more letters are decided; `error` says why.
Task<Result<>> fail_job(
    pg::Connection& connection, std::int64_t id, std::string error, Deadline deadline
);

/// Letters that cannot be sent since one before them in their key was refused once more are parked
/// again with it: else they would wait, and their job with them, for a decision that nobody knows
/// to be missing. Where that one waits for its topic, they do, too: it needs no decision. Returns
/// how many; so many at most are looked at.
Task<Result<std::int64_t>> park_stuck(
    pg::Connection& connection, std::size_t limit, Deadline deadline
);

/// Ends the jobs whose letters are carried out, with their final figures. Returns how many have not
/// ended.
Task<Result<std::int64_t>> end_jobs(pg::Connection& connection, Deadline deadline);

}  // namespace txstream::outbox
