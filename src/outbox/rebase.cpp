#include "outbox/rebase.hpp"

#include "base/assert.hpp"
#include "domain/json_writer.hpp"
#include "outbox/detail/instance_sql.hpp"
#include "outbox/structure.hpp"

#include <fmt/format.h>

#include <string_view>
#include <utility>
#include <vector>

namespace txstream::outbox {

namespace {

// The least that a row of the outbox takes on a page.
constexpr std::uint64_t kRowBytesMin = 88;

// A transaction id as the number that PostgreSQL counts with, and the whole id that a row's xmin
// can be at most: rows have the lower half of it only.
#define TXS_NUMBER(xid) "(" xid ")::text::bigint"
#define TXS_LOWER_HALF "4294967295"
#define TXS_WHOLE(xmin, next)                                           \
    "((((" next ") & ~" TXS_LOWER_HALF "::bigint) | (" xmin             \
    "))"                                                                \
    " - CASE WHEN (((" next ") & ~" TXS_LOWER_HALF "::bigint) | (" xmin \
    "))"                                                                \
    " >= (" next ") THEN 4294967296 ELSE 0 END)"

// `m`: the highest id that the position of a lane knows; `made`, when the table was made. No row
// that was written here has an id below that one: where it is not below `known`, the cursors know
// nothing of such rows, and what they call published came with the copy. So it is in a cluster
// whose ids are ahead, and after pg_upgrade. The row of the catalogue is that of a system column,
// which nobody ever changes. A refusal for another reason than today's says that there was a
// cluster in between, whose rows are neither.
//
// `is_copied`: a row of txstream.lanes knows ids that were given after it was written.
constexpr pg::Statement kState{
    "txs_rebase_state",
    R"(
WITH n AS (SELECT )" TXS_NUMBER("pg_snapshot_xmax(pg_current_snapshot())") R"( AS next),
m AS (SELECT )" TXS_WHOLE("a.xmin::text::bigint", "n.next") R"( AS made FROM n, pg_attribute a
 WHERE a.attrelid = 'txstream.outbox'::regclass AND a.attname = 'ctid'),
k AS (SELECT max()" TXS_NUMBER("greatest(pg_snapshot_xmax(cursor), pg_snapshot_xmax(target))"
    ) R"() AS known,
 min()" TXS_NUMBER("pg_snapshot_xmin(cursor)") R"() AS bound FROM txstream.lane_positions)
SELECT coalesce(j.refused_why, j.why), pg_has_role(t.relowner, 'USAGE'),
 pg_get_userbyid(t.relowner)::text, current_user::text, s.lanes, s.is_copied AND j.is_moved,
 (SELECT string_agg(e.owner, ', ') FROM (SELECT owner FROM txstream.leases
  WHERE ends_at >= clock_timestamp() ORDER BY owner LIMIT 5) e),
 (SELECT count(*) FROM txstream.dead_letters WHERE state IN ('parked', 'replaying')),
 (SELECT coalesce(sum(pg_relation_size(i.inhrelid)), 0)::bigint FROM pg_inherits i WHERE i.inhparent = t.oid),
 m.made, m.made >= k.known AND coalesce(j.refused_why = j.why, true), k.bound,
 pg_current_snapshot()::text, n.next, pg_current_xact_id_if_assigned() IS NULL
FROM ()" TXS_INSTANCE_JUDGED R"() j, n, m, k, pg_class t,
 (SELECT count(*) AS lanes, bool_or()" TXS_NUMBER("pg_snapshot_xmax(l.cursor)"
    ) R"( > )" TXS_WHOLE("l.xmin::text::bigint", "n.next") R"() AS is_copied
  FROM n, txstream.lanes l) s
WHERE t.oid = 'txstream.outbox'::regclass)",
    pg::Planning::each_time
};

struct State {
    std::string why;
    std::int64_t lanes = 0;
    bool is_copied = false;
    std::string alive;  ///< owners whose lease has not ended
    std::int64_t parked = 0;
    std::uint64_t bytes = 0;
    std::int64_t made = 0;
    bool is_proven = false;
    std::int64_t bound = 0;
    std::string snapshot;
    std::int64_t next = 0;
};

// $1 the first id that is pending, NULL: cursors decide; $2 what cursors call published came with
// the copy; $3 the snapshot that becomes the cursor; $4 below it no event is pending; $5 the id
// that is given next; $6 when the table was made; $7 whether the lanes are proven to be copied.
//
// `g`: rows that one transaction wrote, with ids of several, were copied by it. It is read where
// the rows themselves have to prove where they come from.
#define TXS_XMIN "o.xmin::text::bigint"
#define TXS_XID TXS_NUMBER("o.xid")
#define TXS_CAME_WITH_THE_COPY(next)                                               \
    "(" TXS_XID " >= " next " OR ((" TXS_XID " & " TXS_LOWER_HALF ") <> " TXS_XMIN \
    " AND (coalesce(g.is_copied, false) OR " TXS_XID " > " TXS_WHOLE(TXS_XMIN, next) ")))"
// Renumbered just now (kRenumber), and so written here before.
#define TXS_IS_OURS "coalesce(o.xid = pg_current_xact_id_if_assigned(), false)"
#define TXS_JUDGED                                                                              \
    "WITH l AS MATERIALIZED (SELECT lane, cursor, target, last_id, last_xid"                    \
    "  FROM txstream.lane_positions),"                                                          \
    " g AS MATERIALIZED (SELECT " TXS_XMIN " AS writer, min(" TXS_XID ") <> max(" TXS_XID       \
    ") AS is_copied"                                                                            \
    "  FROM txstream.outbox o WHERE NOT $2::boolean AND $1::bigint IS NULL GROUP BY 1),"        \
    " judged AS (SELECT e.id, e.xid, e.event_id, e.is_published, e.is_new,"                     \
    "  e.is_letter OR CASE WHEN $1::bigint IS NULL THEN e.is_published AND e.is_old"            \
    "   ELSE e.id < $1::bigint END AS is_settled"                                               \
    "  FROM (SELECT o.id, o.xid, o.event_id,"                                                   \
    "    pg_visible_in_snapshot(o.xid, l.cursor)"                                               \
    "     OR coalesce(pg_visible_in_snapshot(o.xid, l.target)"                                  \
    "      AND (o.id, o.xid) <= (l.last_id, l.last_xid), false) AS is_published,"               \
    "    ($2::boolean OR " TXS_CAME_WITH_THE_COPY("$5::bigint"                                  \
    ) ") AND NOT " TXS_IS_OURS                                                                  \
      " AS is_old,"                                                                             \
      "    " TXS_IS_OURS " OR ($7::boolean AND " TXS_XID " >= $6::bigint AND " TXS_XID          \
      " < $5::bigint"                                                                           \
      "     AND (" TXS_XID " & " TXS_LOWER_HALF ") = " TXS_XMIN                                 \
      ") AS is_new,"                                                                            \
      "    EXISTS (SELECT FROM txstream.dead_letters d"                                         \
      "     WHERE (d.id, d.xid, d.event_id) = (o.id, o.xid, o.event_id)) AS is_letter"          \
      "   FROM txstream.outbox o JOIN l ON l.lane = o.lane LEFT JOIN g ON g.writer = " TXS_XMIN \
      "   WHERE o.xid >= $4::bigint::text::xid8"                                                \
      "    OR o.xid = ANY (ARRAY(SELECT pg_snapshot_xip($3::text::pg_snapshot)))) e)"

#define TXS_PENDING "count(*) FILTER (WHERE NOT is_settled)"
#define TXS_AGAIN "count(*) FILTER (WHERE NOT is_settled AND is_published AND NOT is_new)"

constexpr pg::Statement kCount{
    "txs_rebase_count",
    TXS_JUDGED " SELECT " TXS_PENDING ", " TXS_AGAIN " FROM judged",
    pg::Planning::each_time
};

// Pending events get the id of this transaction, which no cursor will know. An id that was given
// twice needs two transactions to be two events: the next ones, which follow soon. Published ones
// that the new cursors do not know get the lowest id that is free: those below 700 were used up
// when the cluster was made.
constexpr pg::Statement kMove{
    "txs_rebase_move",
    TXS_JUDGED R"(,
moves AS MATERIALIZED (SELECT j.id, j.xid, j.event_id, j.is_settled, j.is_published, j.is_new,
  (CASE WHEN j.is_settled THEN coalesce((SELECT max()" TXS_NUMBER("s.xid"
    ) R"() FROM txstream.outbox s
     WHERE s.id = j.id AND s.xid < '700'::xid8), 2) + row_number() OVER w
   ELSE pg_current_xact_id()::text::bigint + row_number() OVER w - 1 END)::text::xid8 AS new_xid
 FROM judged j WHERE NOT j.is_settled OR NOT pg_visible_in_snapshot(j.xid, $3::text::pg_snapshot)
 WINDOW w AS (PARTITION BY j.is_settled, j.id ORDER BY j.xid)),
letters AS (UPDATE txstream.dead_letters d SET xid = m.new_xid FROM moves m
 WHERE (d.id, d.xid, d.event_id) = (m.id, m.xid, m.event_id)),
done AS (UPDATE txstream.outbox o SET xid = m.new_xid FROM moves m
 WHERE o.id = m.id AND o.xid = m.xid RETURNING 1)
SELECT )" TXS_PENDING ", " TXS_AGAIN
      R"(, count(*) FILTER (WHERE is_settled), count(*) = (SELECT count(*) FROM done)
FROM moves)",
    pg::Planning::each_time
};

// Dead letters whose event is gone. $1 the cursor.
constexpr pg::Statement kLetters{
    "txs_rebase_letters",
    R"(
UPDATE txstream.dead_letters d SET xid = '3'
WHERE NOT pg_visible_in_snapshot(d.xid, $1::text::pg_snapshot)
 AND NOT EXISTS (SELECT FROM txstream.outbox o WHERE o.id = d.id AND o.xid = d.xid))",
    pg::Planning::each_time
};

// With the lease 0 no row of txstream.positions counts. $1 the cursor.
constexpr pg::Statement kLanes{
    "txs_rebase_lanes",
    R"(
UPDATE txstream.lanes l SET cursor = $1::text::pg_snapshot, target = NULL, last_id = 0, last_xid = '0',
 published = p.published, parked = p.parked, advanced_at = p.advanced_at, lease = 0, epoch = l.epoch + 1,
 position = (SELECT coalesce(max(id), 0) FROM txstream.positions)
FROM txstream.lane_positions p WHERE p.lane = l.lane)",
    pg::Planning::each_time
};

// When which ids were given says nothing here, but for those that came with rows that are older
// than this table. $1 whether there are such, $2 when it was made.
constexpr pg::Statement kTimes{
    "txs_rebase_times",
    "DELETE FROM txstream.outbox_times t WHERE NOT ($1::boolean AND " TXS_NUMBER("t.xid"
    ) " <= $2::bigint)",
    pg::Planning::each_time
};

constexpr pg::Statement kLeases{
    "txs_rebase_leases", "DELETE FROM txstream.leases", pg::Planning::each_time
};

constexpr pg::Statement kIdentity{
    "txs_rebase_identity",
    R"(
INSERT INTO txstream.instance (system_identifier, database_oid)
SELECT c.system_identifier, d.oid FROM pg_control_system() c, pg_database d WHERE d.datname = current_database()
ON CONFLICT (is_the_one) DO UPDATE SET system_identifier = excluded.system_identifier,
 database_oid = excluded.database_oid, refused_at = NULL, refused_why = NULL)",
    pg::Planning::each_time
};

constexpr pg::Statement kAudit{
    "txs_rebase_audit",
    R"(
INSERT INTO txstream.audit (actor, origin, action, target, reason, affected, result)
VALUES ($1, $2, 'outbox rebase', $3::json, $4, $5::bigint, $6))",
    pg::Planning::each_time
};

// Sequences that a logical copy left at their start, and the next number of each. The first column
// says whether it is the one of the events' ids.
constexpr pg::Statement kSequences{
    "txs_rebase_sequences",
    R"(
WITH used(name, number) AS (
 VALUES ('outbox', (SELECT greatest((SELECT max(id) FROM txstream.outbox),
   (SELECT max(id) FROM txstream.dead_letters), (SELECT max(last_event) FROM txstream.positions)))),
  ('positions', (SELECT max(id) FROM txstream.positions)),
  ('audit', (SELECT max(id) FROM txstream.audit)),
  ('leases', (SELECT greatest((SELECT max(lease) FROM txstream.lanes), (SELECT max(lease) FROM txstream.positions)))))
SELECT u.name = 'outbox', s.sequence::text, u.number + 1 FROM used u
CROSS JOIN LATERAL (SELECT pg_get_serial_sequence('txstream.' || u.name,
  CASE u.name WHEN 'leases' THEN 'number' ELSE 'id' END)::regclass AS sequence) s
WHERE u.number > coalesce(pg_sequence_last_value(s.sequence), 0))",
    pg::Planning::each_time
};

// Events written here before their sequence was set: their ids are those of copied ones, or lower,
// and would go before them. In their order they get ids behind all others.
constexpr std::string_view kRenumber =
    R"(
DO $do$ DECLARE r record; BEGIN
FOR r IN
 WITH g AS MATERIALIZED (SELECT )" TXS_XMIN " AS writer, min(" TXS_XID ") <> max(" TXS_XID
    R"() AS is_copied
  FROM txstream.outbox o GROUP BY 1),
 j AS MATERIALIZED (SELECT o.id, o.xid, )" TXS_XID
    " < {0} OR " TXS_CAME_WITH_THE_COPY("{1}") R"( AS is_old
  FROM txstream.outbox o LEFT JOIN g ON g.writer = )" TXS_XMIN R"()
 SELECT j.id, j.xid FROM j WHERE NOT j.is_old AND NOT EXISTS (SELECT FROM txstream.dead_letters d
   WHERE d.id = j.id AND d.xid = j.xid)
  AND (SELECT min(id) FROM j WHERE NOT is_old) <= (SELECT max(id) FROM j WHERE is_old)
 ORDER BY j.id, j.xid
LOOP
 UPDATE txstream.outbox SET id = DEFAULT, xid = pg_current_xact_id() WHERE id = r.id AND xid = r.xid;
END LOOP;
END $do$)";

constexpr pg::Statement kRenumbered{
    "txs_rebase_renumbered",
    "SELECT count(*) FROM txstream.outbox WHERE id >= $1::bigint",
    pg::Planning::each_time
};

constexpr pg::Statement kIsDecided{
    "txs_rebase_is_decided",
    "SELECT coalesce(refused_why, why) FROM (" TXS_INSTANCE_JUDGED ") judged",
    pg::Planning::each_time
};

// What works on the outbox takes these locks in this order. None of them gives the transaction an
// id: the snapshot that becomes the cursor must not know its own.
constexpr const char* kBegin =
    "BEGIN; SET LOCAL lock_timeout = '10s';"
    " LOCK TABLE txstream.outbox_times, txstream.instance, txstream.leases, txstream.lanes,"
    " txstream.positions, txstream.dead_letters, txstream.outbox IN EXCLUSIVE MODE;"
    " SET LOCAL lock_timeout = 0";

Task<Result<State>> read_state(pg::Connection& connection, Deadline deadline) {
    TXS_CO_CHECK(co_await check_structure(connection, deadline));
    TXS_CO_TRY(const auto rows, co_await connection.run(kState, {}, deadline));
    State state;
    if (!rows.is_null(0, 0)) state.why = rows.bytes(0, 0);
    const bool is_owner = rows.boolean(0, 1);
    state.lanes = rows.integer(0, 4);
    state.is_copied = rows.boolean(0, 5);
    if (!rows.is_null(0, 6)) state.alive = rows.bytes(0, 6);
    state.parked = rows.integer(0, 7);
    state.bytes = static_cast<std::uint64_t>(rows.integer(0, 8));
    state.made = rows.integer(0, 9);
    state.is_proven = rows.boolean(0, 10);
    state.bound = rows.integer(0, 11);
    state.snapshot = rows.bytes(0, 12);
    state.next = rows.integer(0, 13);
    TXS_ASSERT(rows.boolean(0, 14), "nothing has given this transaction an id");
    if (state.why.empty()) co_return state;
    if (!is_owner)
        co_return fail(
            Code::rejected,
            fmt::format(
                "a rebase changes rows that no role may change: it needs the rights of {}, which "
                "owns the tables, and {} does not have them",
                rows.bytes(0, 2),
                rows.bytes(0, 3)
            ),
            "42501"
        );
    if (!state.alive.empty())
        co_return fail(
            Code::conflict,
            fmt::format(
                "relays that are alive own lanes ({}); stop them first, and wait until their "
                "leases "
                "have ended (txstream lanes list)",
                state.alive
            ),
            kRebaseOrigin
        );
    co_return state;
}

pg::Params judged_by(const State& state, const RebaseRule& rule) {
    const bool reads_all = rule.first_pending || !state.is_proven;
    return pg::Params::of(
        rule.first_pending,
        state.is_proven,
        state.snapshot,
        reads_all ? 0 : state.bound,
        state.next,
        state.made,
        state.is_copied
    );
}

std::string result_of(const Rebased& done) {
    return fmt::format(
        "{} events to be sent, {} of them perhaps again; {} renumbered, {} marked as published",
        done.pending,
        done.again,
        done.renumbered,
        done.moved
    );
}

std::string target_of(const State& state, const RebaseRule& rule) {
    std::string json;
    domain::JsonWriter out(json);
    out.begin_object().key("why").string(state.why);
    if (rule.first_pending) out.key("first_pending").string(std::to_string(*rule.first_pending));
    out.end_object();
    return json;
}

/// Sets sequences that are behind, and gives new ids to what was written under those of others.
Task<Result<std::int64_t>> mend_ids(
    pg::Connection& connection, const State& state, const RebaseRule& rule, Deadline deadline
) {
    TXS_CO_TRY(const auto behind, co_await connection.run(kSequences, {}, deadline));
    std::string script;
    std::optional<std::int64_t> first_free;
    for (std::size_t i = 0; i < behind.size(); ++i) {
        if (behind.boolean(i, 0)) first_free = behind.integer(i, 2);
        // Unlike setval() it is undone where the rest fails, and the next try finds it.
        script += fmt::format(
            "ALTER SEQUENCE {} RESTART WITH {};", behind.bytes(i, 1), behind.integer(i, 2)
        );
    }
    if (script.empty()) co_return 0;
    if (first_free && rule.first_pending)
        co_return fail(
            Code::conflict,
            "ids were given twice here (a logical copy left their sequence behind), so they cannot "
            "decide: rebase without a first pending id",
            kRebaseOrigin
        );
    TXS_CO_CHECK(co_await connection.run_script(std::move(script), deadline));
    if (!first_free) co_return 0;
    TXS_CO_CHECK(
        co_await connection.run_script(fmt::format(kRenumber, state.made, state.next), deadline)
    );
    TXS_CO_TRY(
        const auto rows, co_await connection.run(kRenumbered, pg::Params::of(*first_free), deadline)
    );
    co_return rows.integer(0, 0);
}

Task<Result<Rebased>> rebase_locked(
    pg::Connection& connection, const RebaseRule& rule, const Signature& by, Deadline deadline
) {
    TXS_CO_TRY(const auto state, co_await read_state(connection, deadline));
    Rebased done;
    done.why = state.why;
    if (state.why.empty()) co_return done;
    TXS_CO_TRY(done.renumbered, co_await mend_ids(connection, state, rule, deadline));
    TXS_CO_TRY(const auto moved, co_await connection.run(kMove, judged_by(state, rule), deadline));
    done.pending = moved.integer(0, 0);
    done.again = moved.integer(0, 1);
    done.moved = moved.integer(0, 2);
    if (!moved.boolean(0, 3))
        co_return fail(
            Code::corrupt, "not every event could be changed; nothing was", kRebaseOrigin
        );
    const auto& cursor = state.snapshot;
    std::vector<std::pair<pg::Statement, pg::Params>> steps;
    steps.emplace_back(kLetters, pg::Params::of(cursor));
    steps.emplace_back(kLanes, pg::Params::of(cursor));
    steps.emplace_back(kLeases, pg::Params());
    steps.emplace_back(kTimes, pg::Params::of(state.is_proven, state.made));
    steps.emplace_back(kIdentity, pg::Params());
    steps.emplace_back(
        kAudit,
        pg::Params::of(
            by.actor, by.origin, target_of(state, rule), by.reason, done.pending, result_of(done)
        )
    );
    for (auto& [statement, params] : steps) {
        TXS_CO_TRY(
            const auto none, co_await connection.run(statement, std::move(params), deadline)
        );
    }
    TXS_CO_TRY(const auto left, co_await connection.run(kIsDecided, {}, deadline));
    if (!left.is_null(0, 0))
        co_return fail(
            Code::corrupt,
            fmt::format("it would be refused again: {}; nothing was changed", left.bytes(0, 0)),
            kRebaseOrigin
        );
    co_return done;
}

}  // namespace

Task<Result<RebaseSurvey>> survey_rebase(
    pg::Connection& connection, RebaseRule rule, Deadline deadline
) {
    TXS_CO_TRY(const auto state, co_await read_state(connection, deadline));
    RebaseSurvey survey;
    survey.why = state.why;
    survey.lanes = state.lanes;
    survey.parked = state.parked;
    survey.bytes = state.bytes;
    if (state.why.empty()) co_return survey;
    survey.is_bound = state.bytes > rule.counted_bytes_max;
    if (survey.is_bound) {
        survey.pending = static_cast<std::int64_t>(state.bytes / kRowBytesMin);
        co_return survey;
    }
    TXS_CO_TRY(const auto rows, co_await connection.run(kCount, judged_by(state, rule), deadline));
    survey.pending = rows.integer(0, 0);
    survey.again = rows.integer(0, 1);
    co_return survey;
}

Task<Result<Rebased>> rebase(
    pg::Connection& connection, RebaseRule rule, Signature signature, Deadline deadline
) {
    if (auto begun = co_await connection.run_script(kBegin, deadline); !begun) {
        if (begun.error().origin() != "55P03") co_return tl::unexpected(std::move(begun).error());
        co_return fail(
            Code::timed_out,
            "a transaction that has used the outbox stays open (pg_stat_activity, "
            "pg_prepared_xacts); nothing was changed"
        );
    }
    auto done = co_await rebase_locked(connection, rule, signature, deadline);
    if (!done || done->why.empty()) {
        if (connection.is_open() && connection.in_transaction())
            TXS_CO_CHECK(co_await connection.run_script("ROLLBACK", deadline));
        co_return done;
    }
    TXS_CO_CHECK(co_await connection.run_script("COMMIT", deadline));
    co_return done;
}

}  // namespace txstream::outbox
