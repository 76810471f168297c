#include "outbox/reader.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#define TXS_EVENT_COLUMNS                                                                   \
    "lane, id, xid, size, event_id, aggregate_type, aggregate_id, event_type, topic, key, " \
    "payload, payload_bytes, content_type, metadata, headers, created_at"

// Read by outbox/event.cpp in this order. What lies in the TOAST table is read here, and not
// before.
#define TXS_FETCHED_COLUMNS(bytes)                                    \
    "lane, id, xid, size, size <= " bytes                             \
    " AS has_content, event_id, aggregate_type,"                      \
    " aggregate_id, event_type, topic, key, CASE WHEN size <= " bytes \
    " THEN payload END,"                                              \
    " CASE WHEN size <= " bytes                                       \
    " THEN payload_bytes END, content_type,"                          \
    " CASE WHEN size <= " bytes                                       \
    " AND payload IS NOT NULL THEN metadata END,"                     \
    " CASE WHEN size <= " bytes " THEN headers END, created_at"

// Bytes of the rows before this one. As integers, since sums of bigint are numeric.
#define TXS_BYTES_BEFORE(event_bytes, order)             \
    "coalesce(sum((200 + CASE WHEN size <= " event_bytes \
    " THEN size ELSE 0 END)::integer)"                   \
    " OVER (" order " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS bytes_before"

// MATERIALIZED and OFFSET 0 pin the plan: one index probe for each running transaction and lane,
// then one for what is new. `xid = ANY($5)` instead let the planner read the whole range from the
// oldest running transaction on.
#define TXS_WINDOW                                                              \
    "WITH w AS MATERIALIZED ("                                                  \
    " (SELECT o.* FROM unnest($5::xid8[]) AS r(x) CROSS JOIN LATERAL"           \
    "   (SELECT " TXS_EVENT_COLUMNS                                             \
    "    FROM txstream.outbox WHERE lane = ANY($1::smallint[]) AND xid = r.x"   \
    "    AND pg_visible_in_snapshot(xid, $4::pg_snapshot) OFFSET 0) o)"         \
    " UNION ALL"                                                                \
    " (SELECT " TXS_EVENT_COLUMNS                                               \
    "  FROM txstream.outbox"                                                    \
    "  WHERE lane = ANY($1::smallint[]) AND xid >= $2::xid8 AND xid < $3::xid8" \
    "  AND pg_visible_in_snapshot(xid, $4::pg_snapshot))"                       \
    " LIMIT $6::bigint) "

// The two comparisons of xid with the snapshots' bounds are for partition pruning only.
#define TXS_PAGE(columns)                                                                       \
    "SELECT " columns                                                                           \
    " FROM txstream.outbox"                                                                     \
    " WHERE lane = $1::smallint AND (id, xid) > ($4::bigint, $5::xid8)"                         \
    " AND xid >= pg_snapshot_xmin($3::pg_snapshot) AND xid < pg_snapshot_xmax($2::pg_snapshot)" \
    " AND pg_visible_in_snapshot(xid, $2::pg_snapshot)"                                         \
    " AND NOT pg_visible_in_snapshot(xid, $3::pg_snapshot)"                                     \
    " ORDER BY id, xid LIMIT $6::bigint"

namespace txstream::outbox {

const char* const kReaderSettings =
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = "
    "off;"
    "SET enable_sort = off; SET jit = off; SET max_parallel_workers_per_gather = 0;";

namespace {

static_assert(kEventOverhead == 200, "as in TXS_BYTES_BEFORE");

constexpr pg::Statement kSnapshot{
    "txs_snapshot", "SELECT pg_current_snapshot()::text, pg_is_in_recovery()"
};

constexpr pg::Statement kWindow{
    "txs_window",
    TXS_WINDOW "SELECT " TXS_FETCHED_COLUMNS("$7::bigint") " FROM w ORDER BY lane, id, xid"
};

constexpr pg::Statement kWindowBySum{
    "txs_window_by_sum",
    TXS_WINDOW "SELECT " TXS_FETCHED_COLUMNS("$7::bigint") " FROM (SELECT w.*, " TXS_BYTES_BEFORE(
        "$7::bigint", ""
    ) " FROM w) b"
      " WHERE bytes_before < $8::bigint ORDER BY lane, id, xid"
};

constexpr pg::Statement kFirstOfRunning{
    "txs_first_of_running",
    "SELECT min(o.id) FROM unnest($2::xid8[]) AS r(x) CROSS JOIN LATERAL"
    " (SELECT id FROM txstream.outbox WHERE lane = $1::smallint AND xid = r.x"
    "  AND pg_visible_in_snapshot(xid, $3::pg_snapshot) OFFSET 0) o"
};

// The index on (lane, xid) brings the rows in order of transactions; without OFFSET 0 min(id) walks
// the lane by its ids to the first that fits. The second column is where
// the next step begins, null after the last: with the transaction that the limit may have cut
// through, or behind it when there was no other.
constexpr pg::Statement kFirstId{
    "txs_first_id",
    "SELECT least(n.first, CASE WHEN n.xids[1] = n.xids[$5::bigint::integer] THEN"
    "   (SELECT min(id) FROM (SELECT id FROM txstream.outbox"
    "     WHERE lane = $1::smallint AND xid = n.xids[1] OFFSET 0) o) END),"
    "  CASE WHEN n.xids[1] = n.xids[$5::bigint::integer] THEN n.xids[1]::text::bigint + 1"
    "   ELSE n.xids[$5::bigint::integer]::text::bigint END"
    " FROM (SELECT min(id) AS first, array_agg(xid) AS xids FROM"
    "  (SELECT id, xid FROM txstream.outbox"
    "   WHERE lane = $1::smallint AND xid >= $2::xid8 AND xid < $3::xid8"
    "   AND pg_visible_in_snapshot(xid, $4::pg_snapshot) ORDER BY xid LIMIT $5::bigint) w) n"
};

constexpr pg::Statement kPage{"txs_page", TXS_PAGE(TXS_FETCHED_COLUMNS("$7::bigint"))};

constexpr pg::Statement kPageBySum{
    "txs_page_by_sum",
    "SELECT " TXS_FETCHED_COLUMNS("$7::bigint") " FROM (SELECT p.*, " TXS_BYTES_BEFORE(
        "$7::bigint", "ORDER BY id, xid"
    ) "  FROM (" TXS_PAGE(TXS_EVENT_COLUMNS
    ) ") p) b"
      " WHERE bytes_before < $8::bigint ORDER BY id, xid"
};

void add_limit(pg::Params& params, const PageLimit& limit) {
    params.add(limit.rows);
    if (limit.count == PageLimit::Count::sum) {
        params.add(limit.event_bytes).add(limit.bytes);
    } else {
        params.add(limit.share());
    }
}

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

std::size_t whole_events(const Events& events, const PageLimit& limit) {
    std::size_t whole = 0;
    while (whole < events.size() &&
           (events.has_content(whole) || events.size_of(whole) > limit.event_bytes))
        ++whole;
    return whole;
}

bool is_cut(const Events& events, const PageLimit& limit) {
    if (events.size() >= limit.rows || whole_events(events, limit) < events.size()) return true;
    if (limit.count == PageLimit::Count::shares) return false;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < events.size(); ++i)
        bytes += kEventOverhead + (events.has_content(i) ? events.size_of(i) : 0);
    return bytes >= limit.bytes;
}

Task<Result<Events>> read_window(
    pg::Connection& connection,
    std::span<const LaneId> lanes,
    const Snapshot& cursor,
    const Snapshot& target,
    PageLimit limit,
    Deadline deadline
) {
    auto params = window_params(lanes, cursor, target);
    add_limit(params, limit);
    const auto& statement = limit.count == PageLimit::Count::sum ? kWindowBySum : kWindow;
    TXS_CO_TRY(auto rows, co_await connection.run(statement, std::move(params), deadline));
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
                    step.rows
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
    PageLimit limit
) {
    auto params = pg::Params::of(
        lane.value(), target.text(), cursor.text(), after.id(), std::to_string(after.xid())
    );
    add_limit(params, limit);
    return connection.send(
        limit.count == PageLimit::Count::sum ? kPageBySum : kPage, std::move(params)
    );
}

Task<Result<Events>> receive_page(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(auto rows, co_await connection.receive(deadline));
    co_return Events(std::move(rows));
}

}  // namespace txstream::outbox
