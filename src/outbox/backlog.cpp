#include "outbox/backlog.hpp"

#include <algorithm>

namespace txstream::outbox {

namespace {

// What no cursor covers, index range by index range. A lane that is being paged has published its
// window up to last_id.
constexpr pg::Statement kFirst{
    "txs_backlog_first",
    "SELECT pg_current_snapshot()::text,"
    " (SELECT coalesce(sum(published + parked), 0)::bigint FROM txstream.lanes),"
    " coalesce(sum(w.n), 0)::bigint, now()"
    " FROM txstream.lanes l CROSS JOIN LATERAL (SELECT count(*) AS n FROM txstream.outbox o"
    "  WHERE o.lane = l.lane AND o.xid >= pg_snapshot_xmin(l.cursor)"
    "  AND NOT pg_visible_in_snapshot(o.xid, l.cursor)"
    "  AND NOT (l.target IS NOT NULL AND (o.id, o.xid) <= (l.last_id, l.last_xid)"
    "           AND pg_visible_in_snapshot(o.xid, l.target))) w"
};

// $1 the xmax of the earlier snapshot, $2 its running transactions. OFFSET 0 keeps it one range of
// the (lane, xid) index for each lane; as a join, the planner walked the newest partition's whole
// index for the xids in it.
constexpr pg::Statement kNext{
    "txs_backlog_next",
    "SELECT pg_current_snapshot()::text,"
    " (SELECT coalesce(sum(published + parked), 0)::bigint FROM txstream.lanes),"
    " (SELECT count(*) FROM txstream.lanes l CROSS JOIN LATERAL"
    "   (SELECT 1 FROM txstream.outbox WHERE lane = l.lane AND xid >= $1::xid8 OFFSET 0) o)"
    " + (SELECT count(*) FROM unnest($2::xid8[]) AS r(x) CROSS JOIN LATERAL"
    "     (SELECT 1 FROM txstream.lanes l CROSS JOIN LATERAL"
    "       (SELECT 1 FROM txstream.outbox WHERE lane = l.lane AND xid = r.x OFFSET 0) o) w), now()"
};

// A writer may set created_at, and its clock may be wrong. A time that cannot be true only says
// that there is an event.
//
// The first event that is not published: of a lane that is paged the next one by id, of the others
// the one of the oldest transaction behind the cursor. Neither looks at what is published.
constexpr pg::Statement kOldest{
    "txs_backlog_oldest",
    "SELECT min(w.created_at) FILTER (WHERE w.created_at BETWEEN now() - interval '30 days'"
    "  AND now() + interval '1 minute'),"
    " coalesce(bool_or(w.created_at NOT BETWEEN now() - interval '30 days'"
    "  AND now() + interval '1 minute'), false), now()"
    " FROM txstream.lanes l"
    " CROSS JOIN LATERAL ("
    "  (SELECT o.created_at FROM txstream.outbox o WHERE l.target IS NOT NULL"
    "    AND o.lane = l.lane AND (o.id, o.xid) > (l.last_id, l.last_xid) AND "
    "pg_visible_in_snapshot(o.xid, l.target)"
    "    AND NOT pg_visible_in_snapshot(o.xid, l.cursor) ORDER BY o.id, o.xid LIMIT 1)"
    "  UNION ALL"
    "  (SELECT o.created_at FROM txstream.outbox o WHERE l.target IS NULL"
    "    AND o.lane = l.lane AND o.xid >= pg_snapshot_xmax(l.cursor) ORDER BY o.xid LIMIT 1)"
    "  UNION ALL"
    "  (SELECT o.created_at FROM unnest(ARRAY(SELECT pg_snapshot_xip(l.cursor))) AS r(x)"
    "    CROSS JOIN LATERAL (SELECT created_at FROM txstream.outbox WHERE l.target IS NULL"
    "     AND lane = l.lane AND xid = r.x LIMIT 1) o)"
    " ) w"
};

constexpr pg::Statement kParked{
    "txs_backlog_parked",
    "SELECT event_type, count(*) FROM txstream.dead_letters"
    " WHERE state IN ('parked', 'replaying') GROUP BY event_type"
};

double to_unix(std::chrono::sys_time<std::chrono::microseconds> time) {
    return std::chrono::duration<double>(time.time_since_epoch()).count();
}

}  // namespace

Task<Result<Backlog>> BacklogMeter::measure(pg::Connection& connection, Deadline deadline) {
    Backlog backlog;
    double now = 0;
    std::int64_t settled = 0;
    if (seen_) {
        pg::Params params;
        params.add(std::to_string(seen_->xmax()));
        params.add_integers(seen_->running(), [](std::int64_t xid) { return xid; });
        TXS_CO_TRY(const auto rows, co_await connection.run(kNext, std::move(params), deadline));
        TXS_CO_TRY(seen_, Snapshot::parse(rows.bytes(0, 0)));
        settled = rows.integer(0, 1);
        appended_ += rows.integer(0, 2);
        now = to_unix(rows.time(0, 3));
    }
    // Cursors that went back (a crash of the server, a restore) or forward (somebody's SQL) make
    // the sums disagree: count again.
    if (!seen_ || appended_ < settled) {
        TXS_CO_TRY(const auto rows, co_await connection.run(kFirst, {}, deadline));
        TXS_CO_TRY(seen_, Snapshot::parse(rows.bytes(0, 0)));
        settled = rows.integer(0, 1);
        appended_ = settled + rows.integer(0, 2);
        now = to_unix(rows.time(0, 3));
    }
    backlog.settled = settled;
    if (appended_ == settled || settled != settled_) waiting_since_ = now;
    settled_ = settled;
    backlog.pending = static_cast<std::uint64_t>(appended_ - settled);
    if (backlog.pending > 0) {
        TXS_CO_TRY(const auto oldest, co_await connection.run(kOldest, {}, deadline));
        const bool is_known = !oldest.is_null(0, 0);
        const bool is_any_unknown = oldest.boolean(0, 1);
        if (is_known) backlog.oldest_pending = to_unix(oldest.time(0, 0));
        if (is_any_unknown && (!is_known || waiting_since_ < backlog.oldest_pending))
            backlog.oldest_pending = waiting_since_;
    }
    TXS_CO_TRY(const auto parked, co_await connection.run(kParked, {}, deadline));
    for (std::size_t i = 0; i < parked.size(); ++i) {
        const auto count = static_cast<std::uint64_t>(parked.integer(i, 1));
        backlog.parked += count;
        backlog.parked_by_event_type.emplace_back(parked.bytes(i, 0), count);
    }
    co_return backlog;
}

Task<Result<std::optional<std::chrono::seconds>>> oldest_pending_age(
    pg::Connection& connection, Deadline deadline
) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kOldest, {}, deadline));
    if (rows.is_null(0, 0)) co_return std::nullopt;
    const auto age = rows.time(0, 2) - rows.time(0, 0);
    co_return std::max(std::chrono::round<std::chrono::seconds>(age), std::chrono::seconds(0));
}

}  // namespace txstream::outbox
