#include "outbox/instance.hpp"

#include <string>

namespace txstream::outbox {

namespace {

// The oid tells a copy in the same cluster (CREATE DATABASE ... TEMPLATE, a dump restored beside
// the original) from the original. A timeline tells nothing: it changes with each failover, and
// cursors stay true in one.
constexpr pg::Statement kInstance{
    "txs_instance",
    R"(
SELECT i.refused_why, CASE
WHEN i.is_the_one IS NULL THEN 'txstream.instance, which says to which cluster and database   the outbox belongs, is empty'
WHEN i.system_identifier <> c.system_identifier THEN format('the outbox belongs to the cluster with the system identifier %s, and this one has %s', i.system_identifier,
  c.system_identifier)
WHEN i.database_oid <> d.oid THEN format('the outbox belongs to the database with the oid %s, and this one has %s', i.database_oid, d.oid)
WHEN l.beyond IS NOT NULL THEN format('the cursors of the lanes %s know transactions that this cluster has not had', l.beyond) END
FROM pg_catalog.pg_control_system() c
JOIN pg_catalog.pg_database d ON d.datname = current_database()
CROSS JOIN (SELECT string_agg(lane::text, ', ' ORDER BY lane) AS beyond FROM txstream.lane_positions
  WHERE greatest(pg_snapshot_xmax(cursor), pg_snapshot_xmax(target))
    > pg_snapshot_xmax(pg_current_snapshot())) l
LEFT JOIN txstream.instance i ON true)"
};

constexpr pg::Statement kRefuse{
    "txs_refuse",
    R"(
UPDATE txstream.instance SET refused_at = clock_timestamp(), refused_why = $1
WHERE refused_at IS NULL)"
};

}  // namespace

Task<Result<>> check_instance(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kInstance, {}, deadline));
    const bool is_refused = !rows.is_null(0, 0);
    if (!is_refused && rows.is_null(0, 1)) co_return Result<>();
    const std::string why(rows.bytes(0, is_refused ? 0 : 1));
    if (!is_refused) {
        TXS_CO_TRY(
            const auto none, co_await connection.run(kRefuse, pg::Params::of(why), deadline)
        );
    }
    co_return fail(
        Code::corrupt,
        why +
            ": it was restored or copied. Its cursors do not say any more what was published;"
            " nothing is published until that is decided (docs/schema.md, \"After a restore\")",
        kForeignInstance
    );
}

}  // namespace txstream::outbox
