#include "outbox/structure.hpp"

#include <fmt/format.h>

#include <string>

namespace txstream::outbox {
namespace {

// Each part finds one kind of fault; all of them together are one round trip. `ours` are the tables
// with which events are read and kept, `parts` those with partitions, and these.
constexpr pg::Statement kFaults{
    "txs_structure_faults",
    R"(
WITH RECURSIVE expected(name, kind) AS (
    VALUES ('outbox', 'p'), ('leases', 'r'), ('lanes', 'r'), ('positions', 'p'), ('dead_letters', 'r')
), found AS (
    SELECT e.name, e.kind, c.oid, c.relkind
    FROM expected e LEFT JOIN (pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'txstream')
        ON c.relname = e.name
), parts(oid) AS (
    SELECT oid FROM found WHERE name IN ('outbox', 'positions')
    UNION SELECT i.inhrelid FROM pg_inherits i JOIN parts p ON p.oid = i.inhparent
), ours AS (
    SELECT c.oid, c.oid::regclass::text AS name, c.relkind, c.relpersistence, c.relrowsecurity
    FROM pg_class c WHERE c.oid IN (SELECT oid FROM found UNION SELECT oid FROM parts)
), bounds AS (
    SELECT b.oid::regclass::text AS name, regexp_match(pg_get_expr(b.relpartbound, b.oid),
        'FROM \(''?(\d+|MINVALUE)''?\) TO \(''?(\d+|MAXVALUE)''?\)') AS bound
    FROM pg_inherits i JOIN pg_class b ON b.oid = i.inhrelid JOIN found f ON f.oid = i.inhparent AND f.name = 'outbox'
), ranges AS (
    SELECT name, bound[2] AS upper, lead(name) OVER w AS next, lead(bound[1]) OVER w AS next_lower
    FROM bounds WHERE bound IS NOT NULL
    WINDOW w AS (ORDER BY CASE bound[1] WHEN 'MINVALUE' THEN -1 ELSE bound[1]::numeric END)
)
SELECT 'txstream.' || name || CASE WHEN oid IS NULL THEN ' is missing' ELSE ' is not the table it was made as but '
    || CASE relkind WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' WHEN 'f' THEN 'a foreign table'
        WHEN 'p' THEN 'a partitioned table' WHEN 'r' THEN 'a table without partitions' ELSE 'something else' END END
FROM found WHERE relkind IS DISTINCT FROM kind::"char"
UNION ALL
SELECT 'txstream.outbox is not partitioned by range of xid'
FROM found f JOIN pg_partitioned_table p ON p.partrelid = f.oid
WHERE f.name = 'outbox' AND NOT (p.partstrat = 'r' AND p.partnatts = 1 AND p.partattrs[0] IN (
    SELECT attnum FROM pg_attribute WHERE attrelid = f.oid AND attname = 'xid' AND atttypid = 'xid8'::regtype))
UNION ALL
SELECT 'the default of xid in txstream.outbox is not the writer''s transaction (pg_current_xact_id())'
FROM found f WHERE f.name = 'outbox' AND f.relkind = 'p' AND NOT EXISTS (
    SELECT FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = f.oid AND a.attname = 'xid' AND pg_get_expr(d.adbin, d.adrelid) = 'pg_current_xact_id()')
UNION ALL
SELECT 'the partition ' || name || ' is a foreign table' FROM ours WHERE relkind = 'f' AND oid IN (SELECT oid FROM parts)
UNION ALL
SELECT name || ' is not logged: a crash would empty it' FROM ours WHERE relpersistence <> 'p' AND relkind IN ('r', 'p')
UNION ALL
SELECT name || ' has row-level security, which may hide rows' FROM ours WHERE relrowsecurity
UNION ALL
SELECT o.name || ' has the rule ' || quote_ident(r.rulename)
FROM ours o JOIN pg_rewrite r ON r.ev_class = o.oid WHERE o.relkind IN ('r', 'p')
UNION ALL
SELECT o.name || ' has the trigger ' || quote_ident(t.tgname) || ', which may change or drop rows before they are stored'
FROM ours o JOIN pg_trigger t ON t.tgrelid = o.oid
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 3 = 3 AND t.tgparentid = 0
UNION ALL
SELECT 'the partition ' || i.inhrelid::regclass || ' is about to be detached, and its rows are hidden'
FROM pg_inherits i JOIN found f ON f.oid = i.inhparent AND f.name = 'outbox' WHERE i.inhdetachpending
UNION ALL
SELECT c.oid::regclass || ' has the columns of an event and is no partition of txstream.outbox'
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'txstream'
WHERE c.relkind IN ('r', 'p', 'f') AND c.oid NOT IN (SELECT oid FROM ours)
    AND 4 = (SELECT count(*) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND NOT a.attisdropped AND a.attname IN ('xid', 'id', 'lane', 'event_id'))
UNION ALL
SELECT CASE WHEN next IS NULL THEN 'no partition of txstream.outbox takes transactions from ' || upper || ' on'
    ELSE 'between ' || name || ' and ' || next || ' a partition of txstream.outbox is missing' END
FROM ranges WHERE upper IS DISTINCT FROM coalesce(next_lower, 'MAXVALUE')
UNION ALL
SELECT 'txstream.outbox has no partition' FROM found f
WHERE f.name = 'outbox' AND f.relkind = 'p' AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = f.oid)
)"
};

// Apart, since it fails where txstream.lanes is not there; the catalogue has said so by then.
constexpr pg::Statement kMissingLanes{
    "txs_structure_lanes",
    R"(
SELECT (SELECT string_agg(n::text, ', ' ORDER BY n) FROM generate_series(0, made.lanes - 1) n
        WHERE NOT EXISTS (SELECT FROM txstream.lanes l WHERE l.lane = n)),
    (SELECT string_agg(lane::text, ', ' ORDER BY lane) FROM txstream.lanes WHERE lane >= made.lanes OR lane < 0)
FROM (SELECT substring(pg_get_expr(d.adbin, d.adrelid) FROM '\((\d+) - 1\)')::integer AS lanes
    FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = 'txstream.outbox'::regclass AND a.attname = 'lane') made
)"
};

// The names and bounds of tables are read as they are now, the lists of tables as the statement's
// snapshot has them. Where retention replaces partitions in between, one look sees a gap; another
// one does not.
constexpr int kLooksMax = 3;

tl::unexpected<Error> refusal(const std::string& faults) {
    return fail(
        Code::corrupt,
        fmt::format(
            "the outbox is not as its migration made it, and events could be passed over: {}. "
            "Nothing is published until this is undone; `txstream migrate validate` shows every "
            "difference (docs/schema.md, \"What is checked\")",
            faults
        ),
        "outbox_structure"
    );
}

}  // namespace

Task<Result<>> check_structure(pg::Connection& connection, Deadline deadline) {
    std::string faults;
    for (int look = 0; look < kLooksMax && (look == 0 || !faults.empty()); ++look) {
        TXS_CO_TRY(const auto rows, co_await connection.run(kFaults, {}, deadline));
        faults.clear();
        for (std::size_t i = 0; i < rows.size(); ++i)
            faults.append(i == 0 ? "" : "; ").append(rows.bytes(i, 0));
    }
    if (!faults.empty()) co_return refusal(faults);
    TXS_CO_TRY(const auto lanes, co_await connection.run(kMissingLanes, {}, deadline));
    if (lanes.empty()) co_return refusal("the lane of an event is not computed from its key");
    if (!lanes.is_null(0, 0)) {
        co_return refusal(fmt::format("txstream.lanes lacks the lanes {}", lanes.bytes(0, 0)));
    }
    if (!lanes.is_null(0, 1)) {
        co_return refusal(
            fmt::format("txstream.lanes has lanes that no key leads to: {}", lanes.bytes(0, 1))
        );
    }
    co_return Result<>();
}

}  // namespace txstream::outbox
