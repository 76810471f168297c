#include "outbox/reader.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <limits>
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

// A bit for each lane: one look, however many lanes there are, and before a text of the row is
// touched.
#define TXS_OF_OUR_LANES "get_bit($1::bytea, lane) = 1"

// MATERIALIZED and OFFSET 0 pin the plan: one index probe for each running transaction, then one
// for what is new. `xid = ANY($5)` instead let the planner read the whole range from the oldest
// running transaction on.
#define TXS_WINDOW                                                      \
    "WITH w AS MATERIALIZED ("                                          \
    " (SELECT o.* FROM unnest($5::xid8[]) AS r(x) CROSS JOIN LATERAL"   \
    "   (SELECT " TXS_EVENT_COLUMNS                                     \
    "    FROM txstream.outbox WHERE xid = r.x AND " TXS_OF_OUR_LANES    \
    "    AND pg_visible_in_snapshot(xid, $4::pg_snapshot) OFFSET 0) o)" \
    " UNION ALL"                                                        \
    " (SELECT " TXS_EVENT_COLUMNS                                       \
    "  FROM txstream.outbox"                                            \
    "  WHERE xid >= $2::xid8 AND xid < $3::xid8 AND " TXS_OF_OUR_LANES  \
    "  AND pg_visible_in_snapshot(xid, $4::pg_snapshot))"               \
    " LIMIT $6::bigint) "

// The two comparisons of xid with the snapshots' bounds are for partition pruning only.
#define TXS_PAGE(columns)                                                                       \
    "SELECT " columns                                                                           \
    " FROM txstream.outbox"                                                                     \
    " WHERE (id, xid) > ($4::bigint, $5::xid8) AND (id, xid) <= ($6::bigint, $7::xid8)"         \
    " AND xid >= pg_snapshot_xmin($3::pg_snapshot) AND xid < pg_snapshot_xmax($2::pg_snapshot)" \
    " AND " TXS_OF_OUR_LANES                                                                    \
    " AND pg_visible_in_snapshot(xid, $2::pg_snapshot)"                                         \
    " AND NOT pg_visible_in_snapshot(xid, $3::pg_snapshot)"                                     \
    " ORDER BY id, xid LIMIT $8::bigint"

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
    "txs_window", TXS_WINDOW "SELECT " TXS_FETCHED_COLUMNS("$7::bigint") " FROM w ORDER BY id, xid"
};

// clang-format off
constexpr pg::Statement kWindowBySum{
    "txs_window_by_sum",
    TXS_WINDOW R"(
SELECT )" TXS_FETCHED_COLUMNS("$7::bigint") R"( FROM (SELECT w.*, )" TXS_BYTES_BEFORE("$7::bigint", "") R"(
FROM w) b
WHERE bytes_before < $8::bigint ORDER BY id, xid)"
};
// clang-format on

constexpr pg::Statement kFirstOfRunning{
    "txs_first_of_running",
    R"(
SELECT min(o.id) FROM unnest($1::xid8[]) AS r(x) CROSS JOIN LATERAL
(SELECT id FROM txstream.outbox WHERE xid = r.x OFFSET 0) o)"
};

// Also what the target does not see, and what is of other lanes: it is a bound. The index on (xid,
// id) brings the rows in the order of transactions, and has all that is asked for: the table is
// visited only where it is not vacuumed.
constexpr pg::Statement kFirstId{
    "txs_first_id",
    R"(
SELECT first, xids[1]::text::bigint, xids[cardinality(xids)]::text::bigint,
coalesce(cardinality(xids), 0) FROM (SELECT min(id) AS first, array_agg(xid) AS xids FROM
 (SELECT id, xid FROM txstream.outbox WHERE xid >= $1::xid8 AND xid < $2::xid8
  ORDER BY xid LIMIT $3::bigint) w) n)"
};

// For a transaction that has more rows than a step. OFFSET 0: min(id) would walk the primary key
// to the first that fits.
constexpr pg::Statement kFirstIdOfOne{
    "txs_first_id_of_one",
    "SELECT min(id) FROM (SELECT id FROM txstream.outbox WHERE xid = $1::xid8 OFFSET 0) w"
};

constexpr pg::Statement kHighestId{"txs_highest_id", "SELECT max(id) FROM txstream.outbox"};

constexpr pg::Statement kPage{"txs_page", TXS_PAGE(TXS_FETCHED_COLUMNS("$9::bigint"))};

// clang-format off
constexpr pg::Statement kPageBySum{
    "txs_page_by_sum",
    R"(
SELECT )" TXS_FETCHED_COLUMNS("$9::bigint") R"( FROM (SELECT p.*, )" TXS_BYTES_BEFORE("$9::bigint", "ORDER BY id, xid") R"(
 FROM ()" TXS_PAGE(TXS_EVENT_COLUMNS) R"() p) b
WHERE bytes_before < $10::bigint ORDER BY id, xid)"
};
// clang-format on

// The text of a bytea.
std::string bits_of(std::span<const LaneId> lanes) {
    std::array<unsigned char, kLanesMax / 8> bits{};
    for (const auto lane : lanes) {
        const auto bit = static_cast<std::size_t>(lane.value());
        bits.at(bit / 8) |= static_cast<unsigned char>(1U << (bit % 8));
    }
    return "\\x" + to_hex(bits);
}

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
    auto params = pg::Params::of(
        bits_of(lanes), std::to_string(cursor.xmax()), std::to_string(target.xmax())
    );
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

Task<Result<std::optional<EventSeq>>> first_id(
    pg::Connection& connection, const Snapshot& cursor, const Snapshot& target, ScanStep step
) {
    std::optional<EventSeq> first;
    const auto found = [&](const pg::Rows& rows) {
        if (rows.is_null(0, 0)) return;
        const EventSeq id(rows.integer(0, 0));
        first = first ? std::min(*first, id) : id;
    };
    if (!cursor.running().empty()) {
        pg::Params params;
        params.add_integers(cursor.running(), [](std::int64_t xid) { return xid; });
        const auto deadline = Deadline::in(step.timeout);
        TXS_CO_TRY(
            const auto rows, co_await connection.run(kFirstOfRunning, std::move(params), deadline)
        );
        found(rows);
    }
    for (auto from = cursor.xmax(); from < target.xmax();) {
        auto params =
            pg::Params::of(std::to_string(from), std::to_string(target.xmax()), step.rows);
        const auto deadline = Deadline::in(step.timeout);
        TXS_CO_TRY(const auto rows, co_await connection.run(kFirstId, std::move(params), deadline));
        found(rows);
        if (rows.integer(0, 3) < static_cast<std::int64_t>(step.rows)) break;
        // The limit may have cut through the last transaction: the next step begins with it.
        const auto last = rows.integer(0, 2);
        from = last;
        if (rows.integer(0, 1) < last) continue;
        auto one = pg::Params::of(std::to_string(last));
        const auto until = Deadline::in(step.timeout);
        TXS_CO_TRY(const auto rest, co_await connection.run(kFirstIdOfOne, std::move(one), until));
        found(rest);
        from = last + 1;
    }
    co_return first;
}

Task<Result<EventSeq>> highest_id(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kHighestId, pg::Params(), deadline));
    // Its transaction may be any.
    co_return rows.is_null(0, 0)
        ? EventSeq()
        : EventSeq(rows.integer(0, 0), std::numeric_limits<std::int64_t>::max());
}

Result<> send_page(pg::Connection& connection, const PageQuery& query) {
    auto params = pg::Params::of(
        bits_of(query.lanes),
        query.target.text(),
        query.cursor.text(),
        query.after.id(),
        std::to_string(query.after.xid()),
        query.up_to.id(),
        std::to_string(query.up_to.xid())
    );
    add_limit(params, query.limit);
    return connection.send(
        query.limit.count == PageLimit::Count::sum ? kPageBySum : kPage, std::move(params)
    );
}

Task<Result<Events>> receive_page(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(auto rows, co_await connection.receive(deadline));
    co_return Events(std::move(rows));
}

}  // namespace txstream::outbox
