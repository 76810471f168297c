#include "outbox/drains.hpp"

#include <utility>

namespace txstream::outbox {

namespace {

constexpr pg::Statement kLeases{
    "txs_leases",
    R"(
SELECT e.owner, (SELECT count(*) FROM txstream.lanes l WHERE l.lease = e.number), e.lanes_wanted,
 e.stands_by, e.drains
FROM txstream.leases e WHERE e.ends_at >= clock_timestamp() ORDER BY e.owner LIMIT $1::bigint)"
};

// $1 relay, $2 whether, $3 actor, $4 origin, $5 target, $6 reason.
constexpr pg::Statement kSetDrains{
    "txs_set_drains",
    R"(
WITH meant AS MATERIALIZED (SELECT number FROM txstream.leases
  WHERE starts_with(owner, $1::text || '/') AND ends_at >= clock_timestamp() AND drains <> $2::boolean),
 changed AS (UPDATE txstream.leases SET drains = $2::boolean
  WHERE number IN (SELECT number FROM meant) RETURNING number),
 counted AS (SELECT count(*) AS workers, (SELECT count(*) FROM txstream.lanes
   WHERE lease IN (SELECT number FROM meant)) AS lanes FROM changed)
INSERT INTO txstream.audit (actor, origin, action, target, reason, affected, result)
SELECT $3, $4, CASE WHEN $2::boolean THEN 'relays drain' ELSE 'relays drain --cancel' END, $5::json,
 $6, workers, lanes || CASE WHEN $2::boolean THEN ' lanes to hand over' ELSE ' lanes left' END
FROM counted WHERE workers > 0 RETURNING affected)"
};

}  // namespace

Task<Result<std::vector<LeaseRow>>> read_leases(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(
        const auto rows, co_await connection.run(kLeases, pg::Params::of(kLeasesMax), deadline)
    );
    std::vector<LeaseRow> all;
    for (std::size_t i = 0; i < rows.size(); ++i)
        all.push_back(
            {.owner = std::string(rows.bytes(i, 0)),
             .lanes = rows.integer(i, 1),
             .lanes_wanted = rows.integer(i, 2),
             .stands_by = rows.boolean(i, 3),
             .drains = rows.boolean(i, 4)}
        );
    co_return all;
}

Task<Result<std::int64_t>> set_drains(
    pg::Connection& connection,
    std::string relay,
    bool drains,
    Signature signature,
    Deadline deadline
) {
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(
            kSetDrains,
            pg::Params::of(
                std::move(relay),
                drains,
                std::move(signature.actor),
                std::move(signature.origin),
                std::move(signature.target),
                std::move(signature.reason)
            ),
            deadline
        )
    );
    co_return rows.empty() ? 0 : rows.integer(0, 0);
}

}  // namespace txstream::outbox
