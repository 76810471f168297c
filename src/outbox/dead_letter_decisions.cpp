#include "outbox/dead_letter_decisions.hpp"

#include "outbox/detail/decision_sql.hpp"

#include <algorithm>
#include <utility>

namespace txstream::outbox {

namespace {

// Events behind the first letter among which newer ones of its key are looked for: no index has the
// key.
#define TXS_NEWER_EVENTS_MAX "200000"

constexpr pg::Statement kCount{
    "txs_count_decision",
    "WITH " TXS_CHOSEN(TXS_FITS) R"(,
counted AS MATERIALIZED (SELECT
 (SELECT count(*) FROM chosen) AS letters,
 (SELECT count(*) FROM (SELECT DISTINCT lane, key FROM chosen) k) AS keys,
 (SELECT count(*) FROM hits) AS hits,
 (SELECT count(*) FROM (SELECT 1 FROM (SELECT * FROM stopped WHERE place = 1 AND holds) f JOIN LATERAL (
   SELECT 1 FROM txstream.dead_letters d WHERE )" TXS_OF_KEY("f.lane", "f.key") R"(
    AND d.holds AND d.state = 'parked' AND d.error_class = 'held' AND (d.id, d.xid) > (f.id, f.xid)
    AND (f.stop_id IS NULL OR (d.id, d.xid) < (f.stop_id, f.stop_xid))
    AND NOT ($7::boolean AND )" TXS_FITS R"()) w ON true LIMIT $9::bigint) held) AS held,
 (SELECT count(*) FROM (SELECT DISTINCT f.lane, f.key FROM (
   SELECT o.id, o.xid, o.event_id, o.lane, coalesce(o.key, o.aggregate_id) AS key
   FROM txstream.outbox o WHERE o.id >= (SELECT min(id) FROM chosen WHERE NOT holds)
   ORDER BY o.id, o.xid LIMIT )" TXS_NEWER_EVENTS_MAX R"() o
   JOIN (SELECT * FROM chosen WHERE place = 1 AND NOT holds) f
    ON f.lane = o.lane AND f.key = o.key AND (o.id, o.xid) > (f.id, f.xid)
   JOIN txstream.lane_positions l ON l.lane = o.lane
   LEFT JOIN txstream.dead_letters d ON d.id = o.id AND d.xid = o.xid AND d.event_id = o.event_id
   WHERE )" TXS_EVENT_STATE("d.state") R"( = 'published') newer) AS passed)
SELECT r.*, c.letters, c.keys, c.hits, c.held, c.passed FROM counted c
LEFT JOIN LATERAL (SELECT )" TXS_DEAD_LETTER_ROW R"(
 FROM (SELECT * FROM chosen ORDER BY id, xid LIMIT $10::bigint) s JOIN txstream.dead_letters d
  ON d.id = s.id AND d.xid = s.xid AND d.event_id = s.event_id) r ON true ORDER BY r.id, r.xid)",
    pg::Planning::each_time
};
constexpr int kLetters = 16;
constexpr int kKeys = 17;
constexpr int kHits = 18;
constexpr int kHeld = 19;
constexpr int kPassed = 20;

// $10 more matching letters than this: nothing is changed; $11 actor, $12 origin, $13 action, $14
// target, $15 reason, $16 the new state, $17 kind of the job.
constexpr pg::Statement kDecide{
    "txs_decide",
    "WITH " TXS_CHOSEN(TXS_FITS) R"(,
total AS MATERIALIZED (SELECT count(*) AS n FROM chosen),
due AS MATERIALIZED ()" TXS_LOCKED(
        "SELECT * FROM chosen WHERE (SELECT n FROM total) <= $10::bigint ORDER BY id, xid"
    ) R"(),
job AS (INSERT INTO txstream.jobs
  (kind, selection, total, decided, actor, origin, reason, started_at, decided_at)
 SELECT $17::text, $14::json, n, n, $11::text, $12::text, $15::text, clock_timestamp(),
  clock_timestamp()
 FROM (SELECT count(*) AS n FROM due) w WHERE n > 0
 RETURNING id),
done AS (UPDATE txstream.dead_letters d SET state = $16::text, decided = true,
  resolved_by = $11::text, resolved_at = clock_timestamp(), resolved_reason = nullif($15::text, ''),
  job = (SELECT id FROM job)
 FROM due WHERE d.id = due.id AND d.xid = due.xid AND d.event_id = due.event_id
  AND d.state || '' = 'parked'
 RETURNING 1),
noted AS (INSERT INTO txstream.audit (actor, origin, action, target, reason, affected, result, job)
 SELECT $11::text, $12::text, $13::text, $14::json, $15::text, w.n,
  CASE WHEN w.n = t.n THEN 'done' ELSE w.n || ' of ' || t.n END, (SELECT id FROM job)
 FROM (SELECT count(*) AS n FROM done) w CROSS JOIN total t WHERE w.n > 0)
SELECT (SELECT n FROM total), (SELECT count(*) FROM done), (SELECT id FROM job))",
    pg::Planning::each_time
};

// By an event_id it looks through all letters: no index has it, and an operator asks seldom.
constexpr pg::Statement kNamed{
    "txs_letters_named",
    "SELECT " TXS_DEAD_LETTER_ROW R"(
FROM txstream.dead_letters d WHERE ($1::bigint IS NULL OR d.id = $1::bigint)
 AND ($2::xid8 IS NULL OR d.xid = $2::xid8) AND ($3::uuid IS NULL OR d.event_id = $3::uuid)
ORDER BY d.id, d.xid LIMIT 2)",
    pg::Planning::each_time
};

constexpr pg::Statement kBlocker{
    "txs_letter_blocker",
    "SELECT " TXS_DEAD_LETTER_ROW R"(
FROM txstream.dead_letters d WHERE )" TXS_OF_KEY("$1::smallint", "$2::text") R"(
 AND d.holds AND d.state = 'parked' AND d.error_class <> 'held'
 AND (d.id, d.xid) < ($3::bigint, $4::xid8)
 AND NOT EXISTS (SELECT FROM txstream.dead_letters s
  WHERE s.id = $3::bigint AND s.xid = $4::xid8 AND NOT s.holds)
ORDER BY d.id, d.xid LIMIT 1)",
    pg::Planning::each_time
};

}  // namespace

pg::Params detail::decision_params(Decision decision, const LetterSelection& selection) {
    std::optional<std::int64_t> id;
    std::optional<std::string> xid;
    if (selection.seq) {
        id = selection.seq->id();
        xid = std::to_string(selection.seq->xid());
    }
    const bool names_held = selection.seq || selection.error_class == "held";
    return pg::Params::of(
        id,
        xid,
        selection.key,
        selection.error_class,
        selection.event_type,
        selection.topic,
        decision == Decision::discard && names_held,
        decision == Decision::replay
    );
}

EventState detail::state_of(Decision decision) noexcept {
    return decision == Decision::replay ? EventState::replaying : EventState::discarded;
}

std::string detail::action_of(Decision decision) {
    return std::string("dead-letters ").append(to_string(decision));
}

const char* const kDecisionSettings =
    "SET jit = off; SET enable_seqscan = off; SET enable_bitmapscan = off";

std::string_view to_string(Decision decision) noexcept {
    return decision == Decision::replay ? "replay" : "discard";
}

Task<Result<DecisionCounts>> count_decision(
    pg::Connection& connection,
    Decision decision,
    LetterSelection selection,
    std::size_t sample,
    Deadline deadline
) {
    auto params = detail::decision_params(decision, selection);
    params.add(kDecisionLettersMax + 1).add(sample);
    TXS_CO_TRY(const auto rows, co_await connection.run(kCount, std::move(params), deadline));
    DecisionCounts counts;
    counts.letters = static_cast<std::uint64_t>(rows.integer(0, kLetters));
    counts.keys = static_cast<std::uint64_t>(rows.integer(0, kKeys));
    counts.blocked = static_cast<std::uint64_t>(rows.integer(0, kHits)) - counts.letters;
    counts.held = static_cast<std::uint64_t>(rows.integer(0, kHeld));
    counts.keys_passed = static_cast<std::uint64_t>(rows.integer(0, kPassed));
    for (std::size_t i = 0; i < rows.size() && !rows.is_null(i, 0); ++i)
        counts.sample.push_back(event_row_at(rows, i));
    co_return counts;
}

Task<Result<DecidedAtOnce>> decide_at_once(
    pg::Connection& connection,
    Decision decision,
    LetterSelection selection,
    std::uint64_t letters_max,
    Signature signature,
    Deadline deadline
) {
    auto params = detail::decision_params(decision, selection);
    params.add(kDecisionLettersMax + 1);
    params.add(std::min<std::uint64_t>(letters_max, kDecisionStep));
    params.add(std::move(signature.actor)).add(std::move(signature.origin));
    params.add(detail::action_of(decision));
    params.add(std::move(signature.target)).add(std::move(signature.reason));
    params.add(to_string(detail::state_of(decision))).add(to_string(decision));
    TXS_CO_TRY(const auto rows, co_await connection.run(kDecide, std::move(params), deadline));
    DecidedAtOnce done;
    done.matching = static_cast<std::uint64_t>(rows.integer(0, 0));
    done.decided = static_cast<std::uint64_t>(rows.integer(0, 1));
    if (!rows.is_null(0, 2)) done.job = rows.integer(0, 2);
    co_return done;
}

Task<Result<std::vector<EventRow>>> letters_named(
    pg::Connection& connection, EventSeq seq, std::string event_id, Deadline deadline
) {
    std::optional<std::int64_t> id;
    std::optional<std::string> xid;
    std::optional<std::string> uuid;
    if (event_id.empty()) {
        id = seq.id();
        if (seq.xid() != 0) xid = std::to_string(seq.xid());
    } else {
        uuid = std::move(event_id);
    }
    TXS_CO_TRY(
        const auto rows, co_await connection.run(kNamed, pg::Params::of(id, xid, uuid), deadline)
    );
    std::vector<EventRow> letters;
    for (std::size_t i = 0; i < rows.size(); ++i) letters.push_back(event_row_at(rows, i));
    co_return letters;
}

Task<Result<std::optional<EventRow>>> blocker_of(
    pg::Connection& connection, EventRow letter, Deadline deadline
) {
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(
            kBlocker,
            pg::Params::of(
                letter.lane.value(), letter.key, letter.seq.id(), std::to_string(letter.seq.xid())
            ),
            deadline
        )
    );
    std::optional<EventRow> blocker;
    if (!rows.empty()) blocker = event_row_at(rows, 0);
    co_return blocker;
}

}  // namespace txstream::outbox
