#include "outbox/dead_letter_decisions.hpp"

#include "base/assert.hpp"

namespace txstream::outbox {

namespace {

// The queue of a key: the index dead_letters_of_key has its letters in their order.
#define TXS_OF_KEY(lane, key)                                                  \
    "d.lane = " lane " AND hashtextextended(d.key, 0) = hashtextextended(" key \
    ", 0)"                                                                     \
    " AND d.key = " key

// $1, $2 id and transaction, $3 key, $4 error class, $5 event type, $6 topic; NULL: any. Planned
// for its values, so that what is not asked for costs nothing and the index of what is asked for
// counts.
#define TXS_FITS                                                       \
    "($1::bigint IS NULL OR (d.id = $1::bigint AND d.xid = $2::xid8))" \
    " AND ($3::text IS NULL OR (" TXS_OF_KEY(                          \
        "txstream.lane_of($3::text)", "$3::text"                       \
    ) "))"                                                             \
      " AND ($4::text IS NULL OR d.error_class = $4::text)"            \
      " AND ($5::text IS NULL OR d.event_type = $5::text)"             \
      " AND ($6::text IS NULL OR coalesce(d.topic, '') = $6::text)"

// $7 held letters too, $8 what stands behind an obstacle is left out, $9 letters at most.
//
// `hits` counts the matching letters of each key; of each key's first one the obstacle is looked
// for: the first letter parked for its own sake that does not match. Letters that do not hold their
// key have no obstacle and are none: they count as a key of their own. One walk of each key's
// queue, however many letters match. The obstacle comes to the key's other letters by a window and
// not by a join: without statistics, as after a burst, a join of so many letters is planned as a
// loop in a loop.
#define TXS_CHOSEN                                                                               \
    "WITH hits AS MATERIALIZED (SELECT f.*,"                                                     \
    "   row_number() OVER (PARTITION BY f.lane, f.key, f.holds ORDER BY f.id, f.xid) AS place"   \
    "  FROM (SELECT d.id, d.xid, d.event_id, d.lane, d.key, d.holds"                             \
    "    FROM txstream.dead_letters d WHERE d.state = 'parked'"                                  \
    "     AND ($7::boolean OR d.error_class <> 'held') AND " TXS_FITS                            \
    "    ORDER BY d.id, d.xid LIMIT $9::bigint) f),"                                             \
    " stopped AS MATERIALIZED (SELECT h.id, h.xid, h.event_id, h.lane, h.key, h.holds, h.place," \
    "   first_value(s.id) OVER w AS stop_id, first_value(s.xid) OVER w AS stop_xid"              \
    "  FROM hits h LEFT JOIN LATERAL (SELECT d.id, d.xid FROM txstream.dead_letters d"           \
    "    WHERE h.place = 1 AND h.holds AND " TXS_OF_KEY(                                         \
        "h.lane", "h.key"                                                                        \
    ) " AND d.holds AND d.state = 'parked'"                                                      \
      "     AND d.error_class <> 'held' AND NOT (" TXS_FITS                                      \
      ")"                                                                                        \
      "    ORDER BY d.id, d.xid LIMIT 1) s ON true"                                              \
      "  WINDOW w AS (PARTITION BY h.lane, h.key, h.holds ORDER BY h.place)),"                   \
      " chosen AS MATERIALIZED (SELECT * FROM stopped"                                           \
      "  WHERE NOT $8::boolean OR stop_id IS NULL OR (id, xid) < (stop_id, stop_xid))"

// Events behind the first letter among which newer ones of its key are looked for: no index has the
// key.
#define TXS_NEWER_EVENTS_MAX "200000"

constexpr pg::Statement kCount{
    "txs_count_decision",
    TXS_CHOSEN R"(,
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

// $10 more matching letters than this: nothing is changed; $11 the step; $12 actor, $13 origin,
// $14 action, $15 target, $16 reason, $17 the new state; $18 letters that were decided before,
// $19 letters of the whole decision, 0: what matches now.
//
// The state is compared so that no partial index of it can be used: in a table that was empty at
// its last ANALYZE such an index would be walked through for each letter.
//
// The conditions of the UPDATE are asked again for a row that another transaction has changed
// meanwhile: whoever decides first wins, and the count is of what was really changed.
constexpr pg::Statement kDecide{
    "txs_decide",
    TXS_CHOSEN R"(,
total AS MATERIALIZED (SELECT count(*) AS n FROM chosen),
due AS MATERIALIZED (SELECT c.id, c.xid, c.event_id FROM chosen c
 WHERE (SELECT n FROM total) <= $10::bigint ORDER BY c.id, c.xid LIMIT $11::bigint),
done AS (UPDATE txstream.dead_letters d SET state = $17::text, decided = true,
  resolved_by = $12::text, resolved_at = clock_timestamp(), resolved_reason = nullif($16::text, '')
 FROM due WHERE d.id = due.id AND d.xid = due.xid AND d.event_id = due.event_id
  AND d.state || '' = 'parked' AND ($7::boolean OR d.error_class <> 'held')
 RETURNING d.id, d.xid),
noted AS (INSERT INTO txstream.audit (actor, origin, action, target, reason, affected, result)
 SELECT $12::text, $13::text, $14::text, $15::json, $16::text, w.n,
  CASE WHEN w.n = w.total THEN 'done'
   ELSE (w.before + 1) || ' to ' || (w.before + w.n) || ' of ' || w.total END
 FROM (SELECT (SELECT count(*) FROM done) AS n, $18::bigint AS before,
   CASE WHEN $19::bigint = 0 THEN (SELECT n FROM total) ELSE $19::bigint END AS total) w
 WHERE w.n > 0
 RETURNING id)
SELECT (SELECT n FROM total), d.id, d.xid, (SELECT id FROM noted)
FROM (SELECT 1) one LEFT JOIN done d ON true ORDER BY d.id, d.xid)",
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

constexpr pg::Statement kMayDecide{
    "txs_may_decide",
    "SELECT has_column_privilege('txstream.dead_letters', 'state', 'UPDATE')"
    " AND has_column_privilege('txstream.audit', 'actor', 'INSERT')"
};

constexpr pg::Statement kStates{"txs_letter_states", R"(
SELECT d.id, d.xid, d.state, d.decided FROM unnest($1::bigint[], $2::xid8[]) AS w(id, xid)
JOIN txstream.dead_letters d ON d.id = w.id AND d.xid = w.xid)"};

pg::Params params_of(Decision decision, const LetterSelection& selection) {
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
        decision == Decision::replay,
        kDecisionLettersMax + 1
    );
}

}  // namespace

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
    auto params = params_of(decision, selection);
    params.add(sample);
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

Task<Result<DecisionStep>> decide(
    pg::Connection& connection,
    Decision decision,
    LetterSelection selection,
    DecisionLimits limits,
    Signature signature,
    Deadline deadline
) {
    auto params = params_of(decision, selection);
    params.add(limits.letters_max).add(limits.step).add(signature.actor).add(signature.origin);
    params.add(std::string("dead-letters ").append(to_string(decision)));
    params.add(signature.target).add(signature.reason);
    params.add(
        to_string(decision == Decision::replay ? EventState::replaying : EventState::discarded)
    );
    params.add(limits.before).add(limits.total);
    TXS_CO_TRY(const auto rows, co_await connection.run(kDecide, std::move(params), deadline));
    DecisionStep step;
    step.matching = static_cast<std::uint64_t>(rows.integer(0, 0));
    if (!rows.is_null(0, 3)) step.audit_id = rows.integer(0, 3);
    for (std::size_t i = 0; i < rows.size() && !rows.is_null(i, 1); ++i)
        step.decided.emplace_back(rows.integer(i, 1), rows.integer(i, 2));
    co_return step;
}

Task<Result<bool>> may_decide(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kMayDecide, pg::Params(), deadline));
    co_return rows.boolean(0, 0);
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

Task<Result<std::vector<LetterState>>> letter_states(
    pg::Connection& connection, std::vector<EventSeq> letters, Deadline deadline
) {
    pg::Params params;
    params.add_integers(letters, [](EventSeq seq) { return seq.id(); });
    params.add_integers(letters, [](EventSeq seq) { return seq.xid(); });
    TXS_CO_TRY(const auto rows, co_await connection.run(kStates, std::move(params), deadline));
    std::vector<LetterState> states;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto state = parse_event_state(rows.bytes(i, 2));
        TXS_ASSERT(state, "the table's CHECK and EventState have the same words");
        states.push_back(
            {EventSeq(rows.integer(i, 0), rows.integer(i, 1)), *state, rows.boolean(i, 3)}
        );
    }
    co_return states;
}

}  // namespace txstream::outbox
