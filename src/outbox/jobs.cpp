#include "outbox/jobs.hpp"

#include "base/assert.hpp"
#include "base/utf8.hpp"
#include "outbox/detail/decision_sql.hpp"

#include <limits>
#include <utility>

namespace txstream::outbox {

namespace {

constexpr std::size_t kErrorBytesMax = 2000;
constexpr std::size_t kRunnerBytesMax = 512;

// Of a job that has ended its own figures count, of others its letters.
#define TXS_JOBS                                                                           \
    "SELECT j.*, clock_timestamp() AS now, w.waiting,"                                     \
    " coalesce(j.parked_again, w.parked) AS parked,"                                       \
    " CASE WHEN j.error IS NOT NULL THEN 'failed' WHEN j.cancelled_at IS NOT NULL THEN"    \
    "   'cancelled' WHEN j.decided_at IS NULL AND j.started_at IS NULL THEN 'waiting'"     \
    "  WHEN j.decided_at IS NULL OR w.waiting > 0 THEN 'running' ELSE 'done' END AS state" \
    " FROM txstream.jobs j CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE d.decided)"   \
    "   AS waiting, count(*) FILTER (WHERE NOT d.decided) AS parked"                       \
    "  FROM txstream.dead_letters d WHERE j.ended_at IS NULL AND " TXS_OF_JOB("j.id") ") w"
#define TXS_JOB                                                                             \
    "id, kind, state, selection::text, login, actor, origin, reason, rate, total, decided," \
    " waiting, coalesce(carried_out, decided - waiting - parked), parked, created_at,"      \
    " started_at, decided_at, ended_at, cancelled_at, coalesce(cancelled_by, ''),"          \
    " coalesce(cancel_reason, ''), coalesce(runner, ''), coalesce(error, ''), now"

// $1 before, $2 limit, $3 state, $4 only those that have not ended.
constexpr pg::Statement kJobs{
    "txs_jobs",
    "SELECT " TXS_JOB " FROM (" TXS_JOBS
    " WHERE j.id < $1::bigint AND (NOT $4::boolean OR j.ended_at IS NULL)) j"
    " WHERE $3::text IS NULL OR state = $3::text ORDER BY id DESC LIMIT $2::bigint",
    pg::Planning::each_time
};
constexpr pg::Statement kJob{
    "txs_job", "SELECT " TXS_JOB " FROM (" TXS_JOBS " WHERE j.id = $1::bigint) j"
};

// $1 kind, $2 target, $3 total, $4 rate, $5 actor, $6 origin, $7 reason, $8 action, $9 jobs at most
// that are to be decided.
constexpr pg::Statement kCreate{
    "txs_job_create",
    R"(
WITH job AS (INSERT INTO txstream.jobs (kind, selection, total, rate, actor, origin, reason)
 SELECT $1::text, $2::json, $3::bigint, $4::integer, $5::text, $6::text, $7::text
 WHERE (SELECT count(*) FROM txstream.jobs WHERE ended_at IS NULL AND decided_at IS NULL)
  < $9::bigint RETURNING id, total),
noted AS (INSERT INTO txstream.audit (actor, origin, action, target, reason, affected, result, job)
 SELECT $5::text, $6::text, $8::text, $2::json, $7::text, 0,
  total || ' to be decided by relays', id FROM job)
SELECT id FROM job)",
    pg::Planning::each_time
};

// $1 job, $2 actor, $3 origin, $4 reason.
constexpr pg::Statement kCancel{
    "txs_job_cancel",
    R"(
WITH cancelled AS (UPDATE txstream.jobs SET cancelled_at = clock_timestamp(),
  cancelled_by = $2::text, cancel_reason = $4::text
 WHERE id = $1::bigint AND decided_at IS NULL AND cancelled_at IS NULL
 RETURNING id, decided, total)
INSERT INTO txstream.audit (actor, origin, action, target, reason, affected, result, job)
SELECT $2::text, $3::text, 'jobs cancel', json_build_object('job', id), $4::text, 0,
 decided || ' of ' || total || ' were decided', id FROM cancelled RETURNING 1)",
    pg::Planning::each_time
};

constexpr pg::Statement kMayDecide{
    "txs_may_decide",
    "SELECT has_column_privilege('txstream.dead_letters', 'state', 'UPDATE')"
    " AND has_column_privilege('txstream.audit', 'actor', 'INSERT')"
    " AND has_column_privilege('txstream.jobs', 'actor', 'INSERT')"
};

// $1 letters of a step, $2 letters in hand. A step is taken when there is room for a whole one:
// each has its row in the audit. A clock that was set back must not stop a job.
constexpr pg::Statement kDue{
    "txs_job_due",
    R"(
SELECT j.id, j.kind, j.selection::text, j.after_id, j.after_xid, s.letters
FROM (SELECT *, extract(epoch FROM clock_timestamp() - stepped_at) AS rested FROM txstream.jobs
  WHERE ended_at IS NULL) j
CROSS JOIN LATERAL (SELECT least($1::bigint, j.total - j.decided,
  trunc(j.rate * least(greatest(coalesce(j.rested, 1), 1), 2))::bigint) AS letters) s
CROSS JOIN LATERAL (SELECT count(*) AS in_hand FROM (SELECT 1 FROM txstream.dead_letters d
  WHERE d.decided AND )" TXS_OF_JOB("j.id") R"( LIMIT $2::bigint) d) w
WHERE j.decided_at IS NULL AND j.cancelled_at IS NULL AND s.letters > 0
 AND (j.rate IS NULL OR j.rested IS NULL OR j.rested >= 1 OR j.rested < 0)
 AND w.in_hand + s.letters <= $2::bigint
ORDER BY j.stepped_at NULLS FIRST, j.id LIMIT 1)",
    pg::Planning::each_time
};

// $10, $11 the letter behind which the step begins. What stands before it is decided, or was left
// out: it stays where it is, and is in the way of what is behind it.
#define TXS_FITS_BEHIND TXS_FITS " AND (d.id, d.xid) > ($10::bigint, $11::xid8)"

// $12 the job, $13 the new state, $14 action, $15 the relay.
//
// Of two relays that take a step from the same place the first one moves the place, and the second
// one's row is gone when it looks again. So is that of a job which was cancelled meanwhile.
constexpr pg::Statement kStep{
    "txs_job_step",
    R"(
WITH job AS MATERIALIZED (SELECT * FROM txstream.jobs
 WHERE id = $12::bigint AND decided_at IS NULL AND cancelled_at IS NULL
  AND after_id = $10::bigint AND after_xid = $11::xid8 FOR UPDATE SKIP LOCKED),
)" TXS_CHOSEN(TXS_FITS_BEHIND) R"(,
due AS MATERIALIZED ()" TXS_LOCKED(
        "SELECT * FROM chosen WHERE EXISTS (SELECT FROM job) ORDER BY id, xid"
    ) R"(),
done AS (UPDATE txstream.dead_letters d SET state = $13::text, decided = true,
  resolved_by = (SELECT actor FROM job), resolved_at = clock_timestamp(),
  resolved_reason = (SELECT nullif(reason, '') FROM job), job = $12::bigint
 FROM due WHERE d.id = due.id AND d.xid = due.xid AND d.event_id = due.event_id
  AND d.state || '' = 'parked'
 RETURNING 1),
w AS MATERIALIZED (SELECT (SELECT count(*) FROM done) AS n,
 (SELECT count(*) < $9::bigint FROM hits) AS is_end),
last AS (SELECT id, xid FROM hits ORDER BY id DESC, xid DESC LIMIT 1),
moved AS (UPDATE txstream.jobs j SET decided = j.decided + w.n,
  after_id = coalesce(last.id, j.after_id), after_xid = coalesce(last.xid, j.after_xid),
  started_at = coalesce(j.started_at, clock_timestamp()), stepped_at = clock_timestamp(),
  runner = $15::text,
  decided_at = CASE WHEN w.is_end OR j.decided + w.n >= j.total THEN clock_timestamp() END
 FROM job CROSS JOIN w LEFT JOIN last ON true WHERE j.id = job.id),
noted AS (INSERT INTO txstream.audit (actor, origin, action, target, reason, affected, result, job)
 SELECT actor, origin, $14::text, selection, reason, w.n,
  (decided + 1) || ' to ' || (decided + w.n) || ' of ' || total, id FROM job CROSS JOIN w
 WHERE w.n > 0)
SELECT w.n FROM job CROSS JOIN w)",
    pg::Planning::each_time
};

// $1 job, $2 error.
constexpr pg::Statement kFail{
    "txs_job_fail",
    "UPDATE txstream.jobs SET error = $2::text, decided_at = clock_timestamp()"
    " WHERE id = $1::bigint AND decided_at IS NULL AND cancelled_at IS NULL",
    pg::Planning::each_time
};

// $1 letters at most that are looked at. The owner of the lane may have one of them under way; then
// it writes what became of it all the same.
constexpr pg::Statement kStuck{
    "txs_job_stuck",
    R"(
WITH waiting AS MATERIALIZED (SELECT d.id, d.xid, d.event_id, d.lane, d.key
  FROM txstream.dead_letters d
  WHERE d.decided AND d.holds AND d.state = 'replaying' AND d.job IS NOT NULL LIMIT $1::bigint),
stuck AS MATERIALIZED (SELECT w.id, w.xid, w.event_id FROM waiting w WHERE EXISTS (
  SELECT FROM txstream.dead_letters d WHERE )" TXS_OF_KEY("w.lane", "w.key") R"(
   AND d.holds AND d.state = 'parked' AND d.error_class <> 'held' AND NOT d.waits
   AND (d.id, d.xid) < (w.id, w.xid))),
parked AS (UPDATE txstream.dead_letters d SET state = 'parked', decided = false,
  resolved_by = NULL, resolved_at = NULL, resolved_reason = NULL
 FROM stuck s WHERE d.id = s.id AND d.xid = s.xid AND d.event_id = s.event_id
  AND d.state || '' = 'replaying' AND d.decided
 RETURNING 1)
SELECT count(*) FROM parked)",
    pg::Planning::each_time
};

constexpr pg::Statement kEnd{
    "txs_jobs_end",
    R"(
WITH carried_out AS MATERIALIZED (SELECT j.id, w.parked FROM txstream.jobs j
 CROSS JOIN LATERAL (SELECT count(*) FILTER (WHERE d.decided) AS waiting,
   count(*) FILTER (WHERE NOT d.decided) AS parked
  FROM txstream.dead_letters d WHERE )" TXS_OF_JOB("j.id") R"() w
 WHERE j.ended_at IS NULL AND (j.decided_at IS NOT NULL OR j.cancelled_at IS NOT NULL)
  AND w.waiting = 0),
ended AS (UPDATE txstream.jobs j SET ended_at = clock_timestamp(),
  decided_at = coalesce(j.decided_at, j.cancelled_at), parked_again = c.parked,
  carried_out = j.decided - c.parked
 FROM carried_out c WHERE j.id = c.id AND j.ended_at IS NULL RETURNING 1)
SELECT (SELECT count(*) FROM txstream.jobs WHERE ended_at IS NULL) - (SELECT count(*) FROM ended))",
    pg::Planning::each_time
};

std::optional<Time> optional_time(const pg::Rows& rows, std::size_t row, int column) {
    if (rows.is_null(row, column)) return std::nullopt;
    return rows.time(row, column);
}

Decision decision_from(std::string_view kind) {
    const bool is_replay = kind == to_string(Decision::replay);
    TXS_ASSERT(
        is_replay || kind == to_string(Decision::discard),
        "the table's CHECK and Decision have the same words"
    );
    return is_replay ? Decision::replay : Decision::discard;
}

Job job_at(const pg::Rows& rows, std::size_t row) {
    int column = 0;
    const auto text = [&] { return std::string(rows.bytes(row, column++)); };
    const auto number = [&] { return static_cast<std::uint64_t>(rows.integer(row, column++)); };
    const auto time = [&] { return optional_time(rows, row, column++); };
    Job job;
    job.id = rows.integer(row, column++);
    job.decision = decision_from(rows.bytes(row, column++));
    const auto state = parse_job_state(rows.bytes(row, column++));
    TXS_ASSERT(state, "the statement and JobState have the same words");
    job.state = *state;
    job.selection = text();
    job.login = text();
    job.actor = text();
    job.origin = text();
    job.reason = text();
    if (!rows.is_null(row, column)) job.rate = rows.integer(row, column);
    ++column;
    job.total = number();
    job.decided = number();
    job.waiting = number();
    job.carried_out = number();
    job.parked_again = number();
    job.created_at = rows.time(row, column++);
    job.started_at = time();
    job.decided_at = time();
    job.ended_at = time();
    job.cancelled_at = time();
    job.cancelled_by = text();
    job.cancel_reason = text();
    job.runner = text();
    job.error = text();
    job.now = rows.time(row, column);
    return job;
}

}  // namespace

const char* const kJobSettings =
    "SET jit = off; SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off";

std::string_view to_string(JobState state) noexcept {
    switch (state) {
        case JobState::waiting:
            return "waiting";
        case JobState::running:
            return "running";
        case JobState::done:
            return "done";
        case JobState::cancelled:
            return "cancelled";
        case JobState::failed:
            return "failed";
    }
    return "";
}

std::optional<JobState> parse_job_state(std::string_view word) noexcept {
    using enum JobState;
    for (const auto state : {waiting, running, done, cancelled, failed})
        if (word == to_string(state)) return state;
    return std::nullopt;
}

Task<Result<std::vector<Job>>> jobs(
    pg::Connection& connection, JobFilter filter, std::size_t limit, Deadline deadline
) {
    std::optional<std::string_view> state;
    if (filter.state) state = to_string(*filter.state);
    const auto before = filter.before.value_or(std::numeric_limits<std::int64_t>::max());
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(
            kJobs, pg::Params::of(before, limit, state, filter.is_open), deadline
        )
    );
    std::vector<Job> all;
    for (std::size_t i = 0; i < rows.size(); ++i) all.push_back(job_at(rows, i));
    co_return all;
}

Task<Result<std::optional<Job>>> job(
    pg::Connection& connection, std::int64_t id, Deadline deadline
) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kJob, pg::Params::of(id), deadline));
    std::optional<Job> found;
    if (!rows.empty()) found = job_at(rows, 0);
    co_return found;
}

Task<Result<std::optional<std::int64_t>>> create_job(
    pg::Connection& connection,
    Decision decision,
    std::uint64_t total,
    std::optional<std::int64_t> rate,
    Signature signature,
    Deadline deadline
) {
    auto params = pg::Params::of(to_string(decision), std::move(signature.target), total, rate);
    params.add(std::move(signature.actor)).add(std::move(signature.origin));
    params.add(std::move(signature.reason)).add(detail::action_of(decision));
    params.add(kJobsDecidingMax);
    TXS_CO_TRY(const auto rows, co_await connection.run(kCreate, std::move(params), deadline));
    std::optional<std::int64_t> id;
    if (!rows.empty()) id = rows.integer(0, 0);
    co_return id;
}

Task<Result<bool>> cancel_job(
    pg::Connection& connection, std::int64_t id, Signature signature, Deadline deadline
) {
    auto params = pg::Params::of(
        id, std::move(signature.actor), std::move(signature.origin), std::move(signature.reason)
    );
    TXS_CO_TRY(const auto rows, co_await connection.run(kCancel, std::move(params), deadline));
    co_return !rows.empty();
}

Task<Result<bool>> may_decide(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kMayDecide, pg::Params(), deadline));
    co_return rows.boolean(0, 0);
}

Task<Result<std::optional<DueJob>>> due_job(
    pg::Connection& connection, JobLimits limits, Deadline deadline
) {
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(kDue, pg::Params::of(limits.step, limits.in_hand), deadline)
    );
    std::optional<DueJob> due;
    if (!rows.empty())
        due = DueJob{
            .id = rows.integer(0, 0),
            .decision = decision_from(rows.bytes(0, 1)),
            .selection = std::string(rows.bytes(0, 2)),
            .after = EventSeq(rows.integer(0, 3), rows.integer(0, 4)),
            .letters = static_cast<std::uint64_t>(rows.integer(0, 5))
        };
    co_return due;
}

Task<Result<JobStep>> take_step(
    pg::Connection& connection,
    DueJob job,
    LetterSelection letters,
    std::string runner,
    Deadline deadline
) {
    auto params = detail::decision_params(job.decision, letters);
    params.add(job.letters).add(job.after.id()).add(std::to_string(job.after.xid())).add(job.id);
    params.add(to_string(detail::state_of(job.decision))).add(detail::action_of(job.decision));
    params.add(storable_text(runner, kRunnerBytesMax));
    TXS_CO_TRY(const auto rows, co_await connection.run(kStep, std::move(params), deadline));
    JobStep step;
    if (!rows.empty())
        step = {.is_taken = true, .decided = static_cast<std::uint64_t>(rows.integer(0, 0))};
    co_return step;
}

Task<Result<>> fail_job(
    pg::Connection& connection, std::int64_t id, std::string error, Deadline deadline
) {
    auto params = pg::Params::of(id, storable_text(error, kErrorBytesMax));
    TXS_CO_CHECK(co_await connection.run(kFail, std::move(params), deadline));
    co_return Result<>();
}

Task<Result<std::int64_t>> park_stuck(
    pg::Connection& connection, std::size_t limit, Deadline deadline
) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kStuck, pg::Params::of(limit), deadline));
    co_return rows.integer(0, 0);
}

Task<Result<std::int64_t>> end_jobs(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kEnd, {}, deadline));
    co_return rows.integer(0, 0);
}

}  // namespace txstream::outbox
