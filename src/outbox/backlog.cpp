#include "outbox/backlog.hpp"

#include "outbox/waiting_sql.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

namespace txstream::outbox {

namespace {

// $1 bounds each walk, over all positions. Columns: snapshot, time; of the lane: published and
// parked, parked, those that came late, of those in order how many wait; of the walk over its
// position: whether $1 ended it, first and last id; the newest id of all.
// clang-format off
constexpr pg::Statement kFirst{
    "txs_backlog_first",
    R"(
WITH)" TXS_POSITIONS("true") R"(, n AS MATERIALIZED (SELECT greatest($1::bigint / greatest(count(*), 1), 1) AS most FROM p),
walked AS MATERIALIZED (SELECT p.lanes, s.lane, count(*) AS rows, min(s.id) AS low,
  max(s.id) AS high, count(*) FILTER (WHERE )" TXS_WAITS_BEHIND R"() AS waiting FROM p CROSS JOIN LATERAL )" TXS_BEHIND("o.lane, o.id, o.xid", "(SELECT most FROM n)") R"(
s GROUP BY p.lanes, s.lane),
walks AS (SELECT lanes, sum(rows) AS rows, min(low) AS low, max(high) AS high
 FROM walked GROUP BY lanes),
late AS (SELECT s.lane, count(*) AS waiting FROM p CROSS JOIN LATERAL )" TXS_LATE("o.lane, o.id, o.xid", "(SELECT most FROM n)") R"(
s WHERE )" TXS_WAITS_LATE R"( GROUP BY s.lane)
SELECT pg_current_snapshot()::text, now(), c.published + c.parked, c.parked,
coalesce(late.waiting, 0), coalesce(walked.waiting, 0),
coalesce(walks.rows >= (SELECT most FROM n), false), coalesce(walks.low, 0),
coalesce(walks.high, 0),
coalesce((SELECT id FROM txstream.outbox ORDER BY id DESC LIMIT 1), 0)
FROM l c
LEFT JOIN walks ON c.lane = ANY (walks.lanes)
LEFT JOIN walked ON walked.lanes = walks.lanes AND walked.lane = c.lane
LEFT JOIN late ON late.lane = c.lane ORDER BY c.lane)"
};
// clang-format on

// $1 the xmax of the earlier snapshot, $2 its running transactions. OFFSET 0 keeps the latter one
// probe of the index on (xid) each.
constexpr pg::Statement kNext{
    "txs_backlog_next",
    R"(
SELECT pg_current_snapshot()::text, now(), l.published + l.parked, l.parked,
coalesce(n.appended, 0)
FROM txstream.lane_positions l LEFT JOIN (SELECT lane, count(*) AS appended FROM (
 SELECT lane FROM txstream.outbox WHERE xid >= $1::xid8
 UNION ALL SELECT o.lane FROM unnest($2::xid8[]) AS r(x) CROSS JOIN LATERAL
  (SELECT lane FROM txstream.outbox WHERE xid = r.x OFFSET 0) o) o GROUP BY lane) n
 ON n.lane = l.lane ORDER BY l.lane)"
};

// A writer may set created_at, and its clock may be wrong. A time that cannot be true only says
// that there is an event.
//
// The first event of each position that is not published. $1 lanes or NULL: those that have one, or
// the walk goes on to its bound, $2. Where it found nothing the second column is true.
// clang-format off
constexpr pg::Statement kOldest{
    "txs_backlog_oldest",
    R"(
WITH)" TXS_POSITIONS("$1::smallint[] IS NULL OR lane = ANY ($1)") R"(
SELECT min(w.created_at) FILTER (WHERE w.created_at BETWEEN now() - interval '30 days'
 AND now() + interval '1 minute'),
coalesce(bool_or(w.created_at IS NULL OR w.created_at NOT BETWEEN
 now() - interval '30 days' AND now() + interval '1 minute'), false), now()
FROM p LEFT JOIN LATERAL ((SELECT s.created_at FROM )" TXS_BEHIND("o.lane, o.id, o.xid, o.created_at", "$2::bigint") R"(
s WHERE )" TXS_WAITS_BEHIND R"( LIMIT 1) UNION ALL (SELECT s.created_at FROM )" TXS_RUNNING("o.lane, o.id, o.xid, o.created_at", "$2::bigint") R"(
s WHERE )" TXS_WAITS_LATE R"()) w ON true)"
};
// clang-format on

// $1 lanes, $2 how many events behind each position are walked over.
// clang-format off
constexpr pg::Statement kOldestByLane{
    "txs_backlog_oldest_by_lane",
    R"(
WITH)" TXS_POSITIONS("lane = ANY ($1::smallint[])") R"(
SELECT w.lane, min(w.created_at) FROM p CROSS JOIN LATERAL )" TXS_WAITING("o.lane, o.id, o.xid, o.created_at", "$2::bigint") R"(
w WHERE w.created_at BETWEEN now() - interval '30 days' AND now() + interval '1 minute'
GROUP BY w.lane)"
};
// clang-format on

// $1: one more than are counted. What the planner knows of the table's size stands for the rest.
constexpr pg::Statement kParked{
    "txs_backlog_parked",
    R"(
SELECT event_type, count(*), (SELECT greatest(reltuples, 0)::bigint FROM pg_class
WHERE oid = 'txstream.dead_letters'::regclass) FROM (SELECT event_type
FROM txstream.dead_letters WHERE state IN ('parked', 'replaying') LIMIT $1) d
GROUP BY event_type)"
};

// The oldest partition is the one with the lowest bound; the first is open downwards.
constexpr pg::Statement kSizes{
    "txs_table_sizes",
    R"(
SELECT coalesce(sum(bytes), 0)::bigint, count(*),
coalesce((array_agg(bytes ORDER BY bound NULLS FIRST))[1], 0),
pg_total_relation_size('txstream.dead_letters'),
(SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0)::bigint FROM pg_inherits
 WHERE inhparent = 'txstream.positions'::regclass),
(SELECT coalesce(max(id), 0) FROM txstream.positions)
FROM (SELECT pg_total_relation_size(c.oid) AS bytes, substring(
 pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \(''?([0-9]+)')::numeric AS bound
 FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'txstream.outbox'::regclass) p)"
};

// Events of all lanes. The first that waits of a lane lies far behind its cursor where the cursor
// has not moved for long.
constexpr std::int64_t kOldestWalkMax = 100'000;

double to_unix(std::chrono::sys_time<std::chrono::microseconds> time) {
    return std::chrono::duration<double>(time.time_since_epoch()).count();
}

}  // namespace

std::uint64_t estimated_pending(
    std::uint64_t events, std::int64_t first, std::int64_t last, std::int64_t newest
) noexcept {
    if (last <= first || newest <= last) return events;
    const auto counted = static_cast<double>(last - first) + 1;
    const auto whole = static_cast<double>(newest - first) + 1;
    return static_cast<std::uint64_t>(std::llround(static_cast<double>(events) * whole / counted));
}

std::int64_t BacklogMeter::total() const {
    std::int64_t sum = 0;
    for (const auto& lane : lanes_) sum += lane.appended;
    return sum;
}

bool BacklogMeter::has_old_estimate(Deadline::Clock::time_point now) const {
    return is_estimate_ && now - counted_at_ >= limits_.estimate_age;
}

Task<Result<Backlog>> BacklogMeter::measure(pg::Connection& connection, Deadline deadline) {
    Backlog backlog;
    std::int64_t found = 0;
    if (seen_ && !has_old_estimate(Deadline::Clock::now())) {
        TXS_CO_TRY(found, co_await count_new(connection, deadline));
    }
    // Cursors that went back (a crash of the server, a restore) or forward (somebody's SQL), and an
    // estimate that was too low, make the sums disagree.
    const bool disagrees =
        std::ranges::any_of(lanes_, [](const auto& lane) { return lane.appended < lane.settled; });
    if (!seen_ || disagrees || has_old_estimate(Deadline::Clock::now()))
        TXS_CO_CHECK(co_await count_all(connection, deadline));

    appended_ = is_estimate_ && appended_ > 0 ? appended_ + found : std::max(appended_, total());
    backlog.appended = appended_;
    backlog.is_estimate = is_estimate_;
    for (const auto& lane : lanes_) {
        const auto pending = static_cast<std::uint64_t>(lane.appended - lane.settled);
        backlog.pending_by_lane.push_back(pending);
        backlog.pending += pending;
        backlog.settled += lane.settled;
    }
    backlog.position_age = position_age();
    if (backlog.pending == 0 || backlog.settled != settled_) waiting_since_ = now_;
    settled_ = backlog.settled;
    if (backlog.pending > 0) {
        TXS_CO_TRY(backlog.oldest_pending, co_await oldest_pending(connection, deadline));
    }
    TXS_CO_CHECK(co_await count_parked(connection, deadline));
    backlog.parked = parked_;
    backlog.parked_by_event_type = parked_by_event_type_;
    co_return backlog;
}

double BacklogMeter::position_age() {
    double oldest = 0;
    for (auto& lane : lanes_) {
        const auto before = std::exchange(lane.settled_before, lane.settled);
        if (lane.appended <= lane.settled || lane.settled != before) lane.moved_at = now_;
        oldest = std::max(oldest, now_ - lane.moved_at);
    }
    return oldest;
}

Task<Result<>> BacklogMeter::count_all(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(kFirst, pg::Params::of(limits_.counted_max), deadline)
    );
    if (rows.size() == 0) co_return fail(Code::corrupt, "txstream.lanes is empty");
    TXS_CO_TRY(seen_, Snapshot::parse(rows.bytes(0, 0)));
    now_ = to_unix(rows.time(0, 1));
    counted_at_ = Deadline::Clock::now();
    is_estimate_ = false;
    parked_so_far_ = 0;
    lanes_.resize(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        auto pending = rows.integer(i, 5);
        if (rows.boolean(i, 6)) {
            is_estimate_ = true;
            pending = static_cast<std::int64_t>(estimated_pending(
                static_cast<std::uint64_t>(pending),
                rows.integer(i, 7),
                rows.integer(i, 8),
                rows.integer(i, 9)
            ));
        }
        lanes_[i].settled = rows.integer(i, 2);
        lanes_[i].appended = lanes_[i].settled + rows.integer(i, 4) + pending;
        parked_so_far_ += rows.integer(i, 3);
    }
    co_return Result<>();
}

Task<Result<std::int64_t>> BacklogMeter::count_new(pg::Connection& connection, Deadline deadline) {
    pg::Params params;
    params.add(std::to_string(seen_->xmax()));
    params.add_integers(seen_->running(), [](std::int64_t xid) { return xid; });
    TXS_CO_TRY(const auto rows, co_await connection.run(kNext, std::move(params), deadline));
    if (rows.size() != lanes_.size())
        co_return fail(Code::corrupt, "the number of rows of txstream.lanes has changed");
    TXS_CO_TRY(seen_, Snapshot::parse(rows.bytes(0, 0)));
    now_ = to_unix(rows.time(0, 1));
    parked_so_far_ = 0;
    std::int64_t appended = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        lanes_[i].settled = rows.integer(i, 2);
        lanes_[i].appended += rows.integer(i, 4);
        appended += rows.integer(i, 4);
        parked_so_far_ += rows.integer(i, 3);
    }
    co_return appended;
}

Task<Result<double>> BacklogMeter::oldest_pending(pg::Connection& connection, Deadline deadline)
    const {
    std::vector<std::int16_t> lanes;
    for (std::size_t i = 0; i < lanes_.size(); ++i)
        if (lanes_[i].appended > lanes_[i].settled) lanes.push_back(static_cast<std::int16_t>(i));
    pg::Params params;
    params.add_integers(lanes, std::identity()).add(kOldestWalkMax);
    TXS_CO_TRY(const auto oldest, co_await connection.run(kOldest, std::move(params), deadline));
    const bool is_known = !oldest.is_null(0, 0);
    const bool is_any_unknown = oldest.boolean(0, 1);
    const double known = is_known ? to_unix(oldest.time(0, 0)) : 0;
    if (is_any_unknown && (!is_known || waiting_since_ < known)) co_return waiting_since_;
    co_return known;
}

Task<Result<>> BacklogMeter::count_parked(pg::Connection& connection, Deadline deadline) {
    const auto now = Deadline::Clock::now();
    const bool is_young = now - parked_at_ < limits_.parked_age;
    if (is_young && parked_so_far_ == parked_so_far_counted_) co_return Result<>();
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(kParked, pg::Params::of(limits_.parked_counted_max + 1), deadline)
    );
    parked_at_ = now;
    parked_so_far_counted_ = parked_so_far_;
    parked_by_event_type_.clear();
    std::int64_t counted = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) counted += rows.integer(i, 1);
    const double factor =
        counted > limits_.parked_counted_max && rows.integer(0, 2) > counted
            ? static_cast<double>(rows.integer(0, 2)) / static_cast<double>(counted)
            : 1;
    parked_ = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto count = static_cast<std::uint64_t>(
            std::llround(static_cast<double>(rows.integer(i, 1)) * factor)
        );
        parked_ += count;
        parked_by_event_type_.emplace_back(rows.bytes(i, 0), count);
    }
    co_return Result<>();
}

Task<Result<TableSizes>> table_sizes(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kSizes, {}, deadline));
    const auto number = [&](int column) {
        return static_cast<std::uint64_t>(rows.integer(0, column));
    };
    co_return TableSizes{
        .outbox_bytes = number(0),
        .oldest_partition_bytes = number(2),
        .partitions = number(1),
        .dead_letters_bytes = number(3),
        .positions_bytes = number(4),
        .positions_appended = number(5)
    };
}

Task<Result<std::optional<std::chrono::seconds>>> oldest_pending_age(
    pg::Connection& connection, Deadline deadline
) {
    pg::Params params;
    params.add(std::nullopt).add(kOldestWalkMax / 10);
    TXS_CO_TRY(const auto rows, co_await connection.run(kOldest, std::move(params), deadline));
    if (rows.is_null(0, 0)) co_return std::nullopt;
    const auto age = rows.time(0, 2) - rows.time(0, 0);
    co_return std::max(std::chrono::round<std::chrono::seconds>(age), std::chrono::seconds(0));
}

Task<Result<std::map<LaneId, std::chrono::sys_time<std::chrono::microseconds>>>> oldest_by_lane(
    pg::Connection& connection,
    std::vector<LaneId> lanes,
    std::int64_t walked_max,
    Deadline deadline
) {
    pg::Params params;
    params.add_integers(lanes, [](LaneId lane) { return lane.value(); }).add(walked_max);
    TXS_CO_TRY(
        const auto rows, co_await connection.run(kOldestByLane, std::move(params), deadline)
    );
    std::map<LaneId, std::chrono::sys_time<std::chrono::microseconds>> oldest;
    for (std::size_t i = 0; i < rows.size(); ++i)
        oldest.emplace(LaneId(static_cast<std::int16_t>(rows.integer(i, 0))), rows.time(i, 1));
    co_return oldest;
}

}  // namespace txstream::outbox
