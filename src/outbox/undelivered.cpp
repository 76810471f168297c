#include "outbox/undelivered.hpp"

#include "outbox/instance.hpp"
#include "outbox/waiting_sql.hpp"

#include <utility>

namespace txstream::outbox {

namespace {

constexpr pg::Statement kMark{
    "txs_mark",
    "SELECT pg_current_snapshot()::text, "
    "coalesce((SELECT id FROM txstream.outbox ORDER BY id DESC LIMIT 1), 0)"
};

// As TXS_WAITING, and no walk goes beyond the mark: so each ends without a bound in rows, and where
// it finds nothing there is nothing. $1 the mark, $2 its newest id, $3 how many are counted.
// clang-format off
constexpr pg::Statement kUndelivered{
    "txs_undelivered",
    R"(
WITH)" TXS_POSITIONS("true") R"(,
waiting AS MATERIALIZED (SELECT w.lane, w.place FROM p CROSS JOIN LATERAL (
 SELECT f.lane, row_number() OVER () AS place FROM (
  SELECT s.lane, s.xid FROM (
   (SELECT o.lane, o.id, o.xid FROM txstream.outbox o WHERE p.target IS NOT NULL
     AND (o.id, o.xid) > (p.after, '0'::xid8) AND o.id <= $2::bigint
     AND o.xid >= pg_snapshot_xmin(p.cursor) ORDER BY o.id, o.xid)
   UNION ALL (SELECT o.lane, o.id, o.xid FROM txstream.outbox o WHERE p.target IS NULL
     AND o.xid >= pg_snapshot_xmax(p.cursor) AND o.xid < pg_snapshot_xmax($1::pg_snapshot)
     ORDER BY o.xid)) s WHERE )" TXS_WAITS_BEHIND R"(
  UNION ALL SELECT s.lane, s.xid FROM (
   (SELECT o.* FROM unnest(ARRAY(SELECT pg_snapshot_xip(coalesce(p.target, p.cursor)))) AS r(x)
     CROSS JOIN LATERAL (SELECT o.lane, o.id, o.xid FROM txstream.outbox o WHERE o.xid = r.x) o)
   UNION ALL (SELECT o.lane, o.id, o.xid FROM txstream.outbox o WHERE p.target IS NOT NULL
     AND o.xid >= pg_snapshot_xmax(p.target) AND o.xid < pg_snapshot_xmax($1::pg_snapshot)
     ORDER BY o.xid)) s WHERE )" TXS_WAITS_LATE R"(
 ) f WHERE pg_visible_in_snapshot(f.xid, $1::pg_snapshot) LIMIT $3::bigint) w)
SELECT lane, count(*), max(place) >= $3::bigint FROM waiting GROUP BY lane ORDER BY lane)"
};
// clang-format on

// $1 the mark, $2 how many are counted.
constexpr pg::Statement kParked{
    "txs_parked_before",
    "SELECT count(*) FROM (SELECT FROM txstream.dead_letters WHERE state IN ('parked', 'replaying')"
    " AND pg_visible_in_snapshot(xid, $1::pg_snapshot) LIMIT $2::bigint + 1) d"
};

}  // namespace

Task<Result<Mark>> mark_now(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto why, co_await why_refused(connection, deadline));
    if (!why.empty())
        co_return fail(
            Code::corrupt,
            why +
                ": nothing is published, and what was cannot be said, before `txstream outbox "
                "rebase`",
            kForeignInstance
        );
    TXS_CO_TRY(const auto rows, co_await connection.run(kMark, {}, deadline));
    Mark mark;
    TXS_CO_TRY(mark.snapshot, Snapshot::parse(rows.bytes(0, 0)));
    mark.newest_id = rows.integer(0, 1);
    co_return mark;
}

Task<Result<Undelivered>> read_undelivered(
    pg::Connection& connection, Mark mark, std::size_t counted_max, Deadline deadline
) {
    const auto& snapshot = mark.snapshot.text();
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(
            kUndelivered, pg::Params::of(snapshot, mark.newest_id, counted_max), deadline
        )
    );
    Undelivered found;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        found.lanes.push_back(
            {LaneId(static_cast<std::int16_t>(rows.integer(i, 0))),
             static_cast<std::uint64_t>(rows.integer(i, 1))}
        );
        found.is_exact = found.is_exact && !rows.boolean(i, 2);
    }
    TXS_CO_TRY(
        const auto parked,
        co_await connection.run(kParked, pg::Params::of(snapshot, counted_max), deadline)
    );
    found.parked = static_cast<std::uint64_t>(parked.integer(0, 0));
    found.is_parked_exact = found.parked <= counted_max;
    if (!found.is_parked_exact) found.parked = counted_max;
    co_return found;
}

}  // namespace txstream::outbox
