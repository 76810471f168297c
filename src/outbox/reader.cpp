#include "outbox/reader.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

// Read by outbox/event.cpp in this order.
#define TXS_EVENT_COLUMNS                                                                 \
    "lane, id, event_id, aggregate_type, aggregate_id, event_type, topic, key, payload, " \
    "payload_bytes, "                                                                     \
    "content_type, metadata, headers, created_at"

namespace txstream::outbox {

const char* const kReaderSettings =
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = "
    "off;"
    "SET enable_sort = off; SET jit = off; SET max_parallel_workers_per_gather = 0;";

namespace {

constexpr pg::Statement kSnapshot{
    "txs_snapshot", "SELECT pg_current_snapshot()::text, pg_is_in_recovery()"
};

// MATERIALIZED and OFFSET 0 pin the plan: one index probe for each running transaction and lane,
// then one for what is new. `xid = ANY($5)` instead let the planner read the whole range from the
// oldest running transaction on.
constexpr pg::Statement kWindow{
    "txs_window",
    "WITH w AS MATERIALIZED ("
    " (SELECT o.* FROM unnest($5::xid8[]) AS r(x) CROSS JOIN LATERAL"
    "   (SELECT " TXS_EVENT_COLUMNS
    " FROM txstream.outbox"
    "    WHERE lane = ANY($1::smallint[]) AND xid = r.x AND pg_visible_in_snapshot(xid, "
    "$4::pg_snapshot) OFFSET 0) o)"
    " UNION ALL"
    " (SELECT " TXS_EVENT_COLUMNS
    " FROM txstream.outbox"
    "  WHERE lane = ANY($1::smallint[]) AND xid >= $2::xid8 AND xid < $3::xid8"
    "  AND pg_visible_in_snapshot(xid, $4::pg_snapshot))"
    " LIMIT $6::bigint) SELECT * FROM w ORDER BY lane, id"
};

constexpr pg::Statement kFirstOfRunning{
    "txs_first_of_running",
    "SELECT min(o.id) FROM unnest($2::xid8[]) AS r(x) CROSS JOIN LATERAL"
    " (SELECT id FROM txstream.outbox WHERE lane = $1::smallint AND xid = r.x"
    "  AND pg_visible_in_snapshot(xid, $3::pg_snapshot) OFFSET 0) o"
};

// The index on (lane, xid) brings the rows in order of transactions. The second column is where
// the next step begins, null after the last: with the transaction that the limit may have cut
// through, or behind it when there was no other.
constexpr pg::Statement kFirstId{
    "txs_first_id",
    "SELECT least(n.first, CASE WHEN n.xids[1] = n.xids[$5::bigint::integer] THEN"
    "   (SELECT min(id) FROM txstream.outbox WHERE lane = $1::smallint AND xid = n.xids[1]) END),"
    "  CASE WHEN n.xids[1] = n.xids[$5::bigint::integer] THEN n.xids[1]::text::bigint + 1"
    "   ELSE n.xids[$5::bigint::integer]::text::bigint END"
    " FROM (SELECT min(id) AS first, array_agg(xid) AS xids FROM"
    "  (SELECT id, xid FROM txstream.outbox"
    "   WHERE lane = $1::smallint AND xid >= $2::xid8 AND xid < $3::xid8"
    "   AND pg_visible_in_snapshot(xid, $4::pg_snapshot) ORDER BY xid LIMIT $5::bigint) w) n"
};

// The two comparisons of xid are for partition pruning only.
constexpr pg::Statement kPage{
    "txs_page",
    "SELECT " TXS_EVENT_COLUMNS
    " FROM txstream.outbox"
    " WHERE lane = $1::smallint AND id > $4::bigint"
    " AND xid >= pg_snapshot_xmin($3::pg_snapshot) AND xid < pg_snapshot_xmax($2::pg_snapshot)"
    " AND pg_visible_in_snapshot(xid, $2::pg_snapshot) AND NOT pg_visible_in_snapshot(xid, "
    "$3::pg_snapshot)"
    " ORDER BY id LIMIT $5::bigint"
};

pg::Params window_params(
    std::span<const LaneId> lanes, const Snapshot& cursor, const Snapshot& target
) {
    pg::Params params;
    params.add_integers(lanes, [](LaneId lane) { return lane.value(); });
    params.add(std::to_string(cursor.xmax()));
    params.add(std::to_string(target.xmax()));
    params.add(target.text());
    params.add_integers(cursor.running(), [](std::int64_t xid) { return xid; });
    return params;
}

}  // namespace

Task<Result<Snapshot>> current_snapshot(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(auto rows, co_await connection.run(kSnapshot, pg::Params(), deadline));
    if (rows.boolean(0, 1)) {
        co_return fail(
            Code::rejected,
            "the database is a hot standby; the relay needs the primary (set DATABASE_HOST to it)"
        );
    }
    co_return Snapshot::parse(rows.bytes(0, 0));
}

Task<Result<Events>> read_window(
    pg::Connection& connection,
    std::span<const LaneId> lanes,
    const Snapshot& cursor,
    const Snapshot& target,
    std::size_t limit,
    Deadline deadline
) {
    auto params = window_params(lanes, cursor, target);
    params.add(limit);
    TXS_CO_TRY(auto rows, co_await connection.run(kWindow, std::move(params), deadline));
    co_return Events(std::move(rows));
}

namespace {

Task<Result<std::optional<EventSeq>>> first_id(
    pg::Connection& connection,
    LaneId lane,
    const Snapshot& cursor,
    const Snapshot& target,
    ScanStep step
) {
    std::optional<EventSeq> first;
    const auto found = [&](const pg::Rows& rows) {
        if (rows.is_null(0, 0)) return;
        const EventSeq id(rows.integer(0, 0));
        first = first ? std::min(*first, id) : id;
    };
    if (!cursor.running().empty()) {
        auto params = pg::Params::of(lane.value());
        params.add_integers(cursor.running(), [](std::int64_t xid) { return xid; });
        params.add(target.text());
        const auto deadline = Deadline::in(step.timeout);
        TXS_CO_TRY(
            const auto rows, co_await connection.run(kFirstOfRunning, std::move(params), deadline)
        );
        found(rows);
    }
    for (std::optional from = cursor.xmax(); from && *from < target.xmax();) {
        TXS_CO_TRY(
            const auto rows,
            co_await connection.run(
                kFirstId,
                pg::Params::of(
                    lane.value(),
                    std::to_string(*from),
                    std::to_string(target.xmax()),
                    target.text(),
                    static_cast<std::int64_t>(step.rows)
                ),
                Deadline::in(step.timeout)
            )
        );
        found(rows);
        from.reset();
        if (!rows.is_null(0, 1)) from = rows.integer(0, 1);
    }
    co_return first;
}

}  // namespace

Task<Result<std::map<LaneId, EventSeq>>> first_ids(
    pg::Connection& connection,
    std::span<const LaneId> lanes,
    const Snapshot& cursor,
    const Snapshot& target,
    ScanStep step
) {
    std::map<LaneId, EventSeq> all;
    for (const auto lane : lanes) {
        TXS_CO_TRY(const auto first, co_await first_id(connection, lane, cursor, target, step));
        if (first) all.emplace(lane, *first);
    }
    co_return all;
}

Result<> send_page(
    pg::Connection& connection,
    LaneId lane,
    const Snapshot& cursor,
    const Snapshot& target,
    EventSeq after,
    std::size_t limit
) {
    return connection.send(
        kPage,
        pg::Params::of(
            lane.value(),
            target.text(),
            cursor.text(),
            after.value(),
            static_cast<std::int64_t>(limit)
        )
    );
}

Task<Result<Events>> receive_page(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(auto rows, co_await connection.receive(deadline));
    co_return Events(std::move(rows));
}

}  // namespace txstream::outbox
