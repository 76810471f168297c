#pragma once

// SQL for what waits: the events that no cursor covers. Included by the statements of this room.
//
// No index has the lane, and most lanes share a position: what lies behind a position is walked
// over once for all of its lanes, by one of the two indexes, and each row is compared with the
// position of its own lane. A walk has a bound, in rows of all lanes: where one lane is far behind
// the others, their published events lie behind its position too.

// `p`, a row for each position: its lanes; `after`, the id behind which to walk in a window that is
// being paged; `last_ids` and `last_xids`, by lane, the last event that is published, so that of
// any other lane no event lies behind it. Lanes of one window at nearly the same id are one
// position: workers acknowledge their pages at different moments. `which` chooses lanes.
#define TXS_POSITIONS(which)                                                                       \
    " l AS MATERIALIZED (SELECT lane, cursor::text AS cursor, target::text AS target, last_id,"    \
    "  last_xid, published, parked FROM txstream.lane_positions),"                                 \
    " p AS MATERIALIZED (SELECT g.cursor::pg_snapshot AS cursor, g.target::pg_snapshot AS target," \
    "   g.after, g.lanes, a.last_ids, a.last_xids"                                                 \
    "  FROM (SELECT cursor, target, min(last_id) AS after, array_agg(lane) AS lanes FROM l"        \
    "   WHERE " which                                                                              \
    "   GROUP BY cursor, target, CASE WHEN target IS NOT NULL THEN last_id >> 15 END) g"           \
    "  CROSS JOIN LATERAL (SELECT array_agg(CASE WHEN NOT l.lane = ANY (g.lanes)"                  \
    "     THEN 9223372036854775807 WHEN g.target IS NULL THEN -9223372036854775808"                \
    "     ELSE l.last_id END ORDER BY l.lane) AS last_ids,"                                        \
    "    array_agg(CASE WHEN l.lane = ANY (g.lanes) THEN l.last_xid"                               \
    "     ELSE '18446744073709551615' END ORDER BY l.lane) AS last_xids FROM l) a)"

// The next `rows` events behind the position `p`, in the order of ids while a window is being
// paged, else of transactions. Some of them may not wait. The comparison with xmin prunes
// partitions.
#define TXS_BEHIND(columns, rows)                                                         \
    "((SELECT " columns                                                                   \
    " FROM txstream.outbox o WHERE p.target IS NOT NULL"                                  \
    "   AND (o.id, o.xid) > (p.after, '0'::xid8) AND o.xid >= pg_snapshot_xmin(p.cursor)" \
    "   ORDER BY o.id, o.xid LIMIT " rows ") UNION ALL (SELECT " columns                  \
    " FROM txstream.outbox o WHERE p.target IS NULL"                                      \
    "   AND o.xid >= pg_snapshot_xmax(p.cursor) ORDER BY o.xid LIMIT " rows "))"
#define TXS_LAST "(p.last_ids[s.lane + 1], p.last_xids[s.lane + 1])"
#define TXS_WAITS_BEHIND        \
    "(s.id, s.xid) > " TXS_LAST \
    " AND (p.target IS NULL OR NOT pg_visible_in_snapshot(s.xid, p.cursor))"

// Events of transactions that the position saw running.
#define TXS_RUNNING(columns, rows)                                                                 \
    "(SELECT o.* FROM unnest(ARRAY(SELECT pg_snapshot_xip(coalesce(p.target, p.cursor)))) AS r(x)" \
    "  CROSS JOIN LATERAL (SELECT " columns                                                        \
    " FROM txstream.outbox o WHERE o.xid = r.x LIMIT " rows ") o)"
// What came later than a page with a lower id, too.
#define TXS_LATE(columns, rows)                            \
    "(" TXS_RUNNING(                                       \
        columns, rows                                      \
    ) " UNION ALL (SELECT " columns                        \
      " FROM txstream.outbox o WHERE p.target IS NOT NULL" \
      "   AND o.xid >= pg_snapshot_xmax(p.target) ORDER BY o.xid LIMIT " rows "))"
#define TXS_WAITS_LATE \
    "s.lane = ANY (p.lanes) AND (p.target IS NULL OR (s.id, s.xid) <= " TXS_LAST ")"

// Both, without what does not wait. `columns` has lane, id and xid.
#define TXS_WAITING(columns, rows)                                                        \
    "(SELECT s.* FROM " TXS_BEHIND(columns, rows) " s WHERE " TXS_WAITS_BEHIND            \
                                                  " UNION ALL SELECT s.* FROM " TXS_LATE( \
                                                      columns, rows                       \
                                                  ) " s WHERE " TXS_WAITS_LATE ")"
