#pragma once

// Whether the database is the one whose cursors it holds: `refused_why`, as it was remembered, and
// `why`, as it is now; NULL where nothing is wrong. `is_moved`: it is another one, or not known.
//
// The oid distinguishes a copy in the same cluster (CREATE DATABASE ... TEMPLATE, a dump restored
// beside the original) from the original. A timeline says nothing: it changes with each failover,
// and cursors stay true in one.
#define TXS_INSTANCE_JUDGED                                                                        \
    "SELECT i.refused_why, CASE"                                                                   \
    " WHEN i.is_the_one IS NULL THEN 'txstream.instance, which says to which cluster and database" \
    " the outbox belongs, is empty'"                                                               \
    " WHEN i.system_identifier <> c.system_identifier THEN format('the outbox belongs to the"      \
    " cluster with the system identifier %s, and this one has %s', i.system_identifier,"           \
    " c.system_identifier)"                                                                        \
    " WHEN i.database_oid <> d.oid THEN format('the outbox belongs to the database with the oid"   \
    " %s, and this one has %s', i.database_oid, d.oid)"                                            \
    " WHEN l.beyond IS NOT NULL THEN format('the cursors of the lanes %s know transactions that"   \
    " this cluster has not had', l.beyond) END AS why,"                                            \
    " (i.system_identifier, i.database_oid) IS DISTINCT FROM (c.system_identifier, d.oid) AS "     \
    "is_moved"                                                                                     \
    " FROM pg_catalog.pg_control_system() c"                                                       \
    " JOIN pg_catalog.pg_database d ON d.datname = current_database()"                             \
    " CROSS JOIN (SELECT string_agg(lane::text, ', ' ORDER BY lane) AS beyond"                     \
    "  FROM txstream.lane_positions"                                                               \
    "  WHERE greatest(pg_snapshot_xmax(cursor), pg_snapshot_xmax(target))"                         \
    "   > pg_snapshot_xmax(pg_current_snapshot())) l"                                              \
    " LEFT JOIN txstream.instance i ON true"
