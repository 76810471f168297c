// LaneStore: who shares the lanes, and how one is handed over.

#include "outbox/detail/lane_statements.hpp"
#include "outbox/lane_store.hpp"

#include <algorithm>
#include <utility>

namespace txstream::outbox {

namespace {

// A row without a lease where there is none. $1 how many owners at most.
constexpr pg::Statement kShares{
    "txs_shares",
    R"(
SELECT n.lanes, e.number, e.lanes_wanted, e.stands_by, e.drains,
 (SELECT count(*) FROM txstream.lanes l WHERE l.lease = e.number)
FROM (SELECT count(*) AS lanes FROM txstream.lanes) n
 LEFT JOIN (SELECT number, lanes_wanted, stands_by, drains FROM txstream.leases
  WHERE ends_at >= clock_timestamp() ORDER BY number LIMIT $1) e ON true
ORDER BY e.number)"
};

// The lease's row is held as by an acknowledgement (see LaneStore): whoever wants our lanes waits
// until this is committed, and sees it. Where they are is copied as by a claim: rows of the log
// count only under the lease under which they were written.
//
// $1 owner, $2 lease; of each lane: $3 which, $4 its epoch, $5 the lease of its heir.
constexpr pg::Statement kGive{
    "txs_give",
    R"(
WITH lease AS MATERIALIZED (SELECT number FROM txstream.leases
  WHERE owner = $1 AND number = $2::bigint FOR SHARE),
 given AS MATERIALIZED (SELECT g.lane, g.epoch, coalesce(h.number, 0) AS heir
  FROM lease, unnest($3::smallint[], $4::bigint[], $5::bigint[]) AS g(lane, epoch, heir)
   LEFT JOIN txstream.leases h ON h.number = g.heir AND h.ends_at >= clock_timestamp())
UPDATE txstream.lanes l SET lease = given.heir, epoch = l.epoch + 1, cursor = p.cursor,
 target = p.target, last_id = p.last_id, last_xid = p.last_xid, published = p.published,
 parked = p.parked, advanced_at = p.advanced_at, taken_at = clock_timestamp(),
 position = (SELECT coalesce(max(id), 0) FROM txstream.positions)
FROM given JOIN txstream.lane_positions p ON p.lane = given.lane
WHERE l.lane = given.lane AND l.epoch = given.epoch AND l.lease = $2::bigint
RETURNING l.lane)"
};

}  // namespace

Task<Result<Shares>> LaneStore::shares(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(kShares, pg::Params::of(Shares::kOwnersMax), deadline)
    );
    Shares shares;
    shares.lanes = static_cast<std::size_t>(rows.integer(0, 0));
    for (std::size_t i = 0; i < rows.size() && !rows.is_null(i, 1); ++i) {
        Share one;
        one.lease = rows.integer(i, 1);
        one.want.lanes = static_cast<std::size_t>(std::max<std::int64_t>(rows.integer(i, 2), 0));
        one.want.stands_by = rows.boolean(i, 3);
        one.drains = rows.boolean(i, 4);
        one.lanes = static_cast<std::size_t>(rows.integer(i, 5));
        one.is_ours = one.lease == lease_;
        if (one.is_ours) drains_ = one.drains;
        shares.owners.push_back(one);
    }
    co_return shares;
}

Task<Result<std::vector<LaneId>>> LaneStore::give(
    pg::Connection& connection, std::vector<Gift> gifts, Deadline deadline
) {
    auto params = pg::Params::of(owner_, lease_);
    params.add_integers(gifts, [](const Gift& gift) { return gift.lane.value(); });
    params.add_integers(gifts, [](const Gift& gift) { return gift.epoch.value(); });
    params.add_integers(gifts, [](const Gift& gift) { return gift.heir; });
    TXS_CO_TRY(const auto rows, co_await connection.run(kGive, std::move(params), deadline));
    co_return lanes_of(rows);
}

}  // namespace txstream::outbox
