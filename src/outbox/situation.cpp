#include "outbox/situation.hpp"

#include "outbox/waiting_sql.hpp"

#include <utility>

namespace txstream::outbox {

namespace {

// reset_val: what the session would have had without our own SET.
constexpr pg::Statement kSituation{
    "txs_situation",
    R"(
SELECT clock_timestamp(), pg_is_in_recovery(),
(SELECT reset_val = 'on' FROM pg_settings WHERE name = 'default_transaction_read_only'),
l.lanes, l.owned, l.ever, l.unowned_since, l.advanced_at,
(SELECT created_at FROM txstream.outbox ORDER BY xid DESC LIMIT 1),
i.refused_at IS NOT NULL, i.refused_at, coalesce(i.refused_why, '')
FROM (SELECT count(*) AS lanes, count(*) FILTER (WHERE owner IS NOT NULL
  AND lease_ends_at >= clock_timestamp()) AS owned, bool_or(epoch > 0) AS ever,
 max(lease_ends_at) FILTER (WHERE lease_ends_at < clock_timestamp()) AS unowned_since,
 max(advanced_at) AS advanced_at FROM txstream.lane_positions) l
LEFT JOIN txstream.instance i ON true)"
};

// Partitions stand for their tables. pg_stat_activity says of others' sessions only to some who
// they are.
constexpr pg::Statement kLocks{
    "txs_locks",
    R"(SELECT clock_timestamp(), l.table_name, l.pid, coalesce(a.application_name, ''), coalesce(a.usename::text, ''), a.xact_start
FROM (VALUES (0)) one(row) LEFT JOIN (
    SELECT DISTINCT 'txstream.' || coalesce(parent.relname, c.relname) AS table_name, k.pid
    FROM pg_locks k JOIN pg_class c ON c.oid = k.relation AND c.relkind IN ('r', 'p')
        LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class parent ON parent.oid = i.inhparent
    WHERE k.granted AND k.mode = 'AccessExclusiveLock' AND c.relnamespace = 'txstream'::regnamespace
        AND k.database = (SELECT oid FROM pg_database WHERE datname = current_database())
) l ON true LEFT JOIN pg_stat_activity a ON a.pid = l.pid
ORDER BY a.xact_start NULLS LAST, l.pid, l.table_name LIMIT 20)"
};

constexpr pg::Statement kRole{"txs_role", "SELECT current_user::text"};

// $1 lanes, $2 how many events of each are counted: of all lanes as many are walked over, since a
// lane has about its share of them.
// clang-format off
constexpr pg::Statement kWaiting{
    "txs_waiting",
    R"(
WITH)" TXS_POSITIONS("lane = ANY ($1::smallint[])") R"(, n AS MATERIALIZED (SELECT $2::bigint * count(*) AS walked,
 $2::bigint * cardinality($1) AS counted FROM l)
SELECT least(count(*) FILTER (WHERE w.waits), n.counted),
 least(count(DISTINCT w.key) FILTER (WHERE w.waits), n.counted),
 coalesce(bool_or(w.place >= n.walked), false)
  OR count(*) FILTER (WHERE w.waits) >= n.counted
FROM n LEFT JOIN (p CROSS JOIN LATERAL (
 SELECT s.key, )" TXS_WAITS_BEHIND R"( AS waits, row_number() OVER () AS place FROM )" TXS_BEHIND(
          "o.lane, o.id, o.xid, coalesce(o.key, o.aggregate_id) AS key", "(SELECT walked FROM n)"
      ) R"( s UNION ALL SELECT s.key, )" TXS_WAITS_LATE R"( AS waits, row_number() OVER () FROM )" TXS_LATE(
            "o.lane, o.id, o.xid, coalesce(o.key, o.aggregate_id) AS key", "(SELECT walked FROM n)"
        ) R"( s) w) ON true GROUP BY n.counted)"
};
// clang-format on

constexpr pg::Statement kParked{
    "txs_parked_classes",
    R"(
SELECT error_class, count(*),
count(*) FILTER (WHERE last_attempt_at > clock_timestamp() - interval '10 minutes'),
min(first_attempt_at), max(last_attempt_at)
FROM (SELECT error_class, first_attempt_at, last_attempt_at FROM txstream.dead_letters
 WHERE state IN ('parked', 'replaying') LIMIT $1) d
GROUP BY error_class ORDER BY count(*) DESC, error_class)"
};

constexpr pg::Statement kLanes{
    "txs_lanes",
    R"(
SELECT l.lane, l.owner, l.epoch, l.lease_ends_at,
coalesce(l.owner IS NOT NULL AND l.lease_ends_at >= clock_timestamp(), false),
l.cursor::text, l.target::text, l.last_id, l.advanced_at, l.published, l.parked,
coalesce(h.keys, 0), l.taken_at
FROM txstream.lane_positions l LEFT JOIN (SELECT lane, count(DISTINCT key) AS keys FROM (
 SELECT lane, key FROM txstream.dead_letters WHERE state IN ('parked', 'replaying') LIMIT $1) d
 GROUP BY lane) h ON h.lane = l.lane ORDER BY l.lane)"
};

std::optional<Moment> optional_time(const pg::Rows& rows, std::size_t row, int column) {
    if (rows.is_null(row, column)) return std::nullopt;
    return rows.time(row, column);
}

}  // namespace

Task<Result<Situation>> read_situation(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kSituation, {}, deadline));
    Situation situation;
    situation.now = rows.time(0, 0);
    situation.is_in_recovery = rows.boolean(0, 1);
    situation.is_read_only = rows.boolean(0, 2);
    situation.lanes = rows.integer(0, 3);
    situation.lanes_owned = rows.integer(0, 4);
    situation.was_ever_owned = rows.boolean(0, 5);
    situation.unowned_since = optional_time(rows, 0, 6);
    situation.advanced_at = optional_time(rows, 0, 7);
    situation.newest_event_at = optional_time(rows, 0, 8);
    situation.is_foreign = rows.boolean(0, 9);
    situation.refused_at = optional_time(rows, 0, 10);
    situation.refused_why = rows.bytes(0, 11);
    co_return situation;
}

Task<Result<TableLocks>> read_locks(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kLocks, {}, deadline));
    TableLocks found;
    found.now = rows.time(0, 0);
    for (std::size_t row = 0; row < rows.size(); ++row) {
        if (rows.is_null(row, 1)) continue;
        found.locks.push_back(
            {.table = std::string(rows.bytes(row, 1)),
             .pid = rows.integer(row, 2),
             .application = std::string(rows.bytes(row, 3)),
             .user = std::string(rows.bytes(row, 4)),
             .since = optional_time(rows, row, 5)}
        );
    }
    co_return found;
}

Task<Result<std::string>> role_of(pg::Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kRole, {}, deadline));
    co_return std::string(rows.bytes(0, 0));
}

Task<Result<Waiting>> count_waiting(
    pg::Connection& connection,
    const std::vector<LaneId>& lanes,
    std::int64_t events_max,
    Deadline deadline
) {
    pg::Params params;
    params.add_integers(lanes, [](LaneId lane) { return lane.value(); });
    params.add(events_max);
    TXS_CO_TRY(const auto rows, co_await connection.run(kWaiting, std::move(params), deadline));
    co_return Waiting{
        .events = static_cast<std::uint64_t>(rows.integer(0, 0)),
        .keys = static_cast<std::uint64_t>(rows.integer(0, 1)),
        .is_exact = !rows.boolean(0, 2)
    };
}

Task<Result<Parked>> read_parked(
    pg::Connection& connection, std::int64_t counted_max, Deadline deadline
) {
    auto params = pg::Params::of(counted_max + 1);
    TXS_CO_TRY(const auto rows, co_await connection.run(kParked, std::move(params), deadline));
    Parked parked;
    std::int64_t counted = 0;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        counted += rows.integer(row, 1);
        parked.classes.push_back(
            {.error_class = std::string(rows.bytes(row, 0)),
             .events = static_cast<std::uint64_t>(rows.integer(row, 1)),
             .recent = static_cast<std::uint64_t>(rows.integer(row, 2)),
             .first_at = rows.time(row, 3),
             .last_at = rows.time(row, 4)}
        );
    }
    parked.is_exact = counted <= counted_max;
    co_return parked;
}

Task<Result<std::vector<LaneRow>>> read_lanes(
    pg::Connection& connection, std::int64_t held_counted_max, Deadline deadline
) {
    auto params = pg::Params::of(held_counted_max);
    TXS_CO_TRY(const auto rows, co_await connection.run(kLanes, std::move(params), deadline));
    std::vector<LaneRow> lanes;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        LaneRow lane;
        lane.lane = LaneId(static_cast<std::int16_t>(rows.integer(row, 0)));
        if (!rows.is_null(row, 1)) lane.owner = rows.bytes(row, 1);
        lane.epoch = rows.integer(row, 2);
        lane.lease_ends_at = optional_time(rows, row, 3);
        lane.is_owned = rows.boolean(row, 4);
        lane.cursor = rows.bytes(row, 5);
        if (!rows.is_null(row, 6)) lane.target = rows.bytes(row, 6);
        lane.last_id = rows.integer(row, 7);
        lane.advanced_at = optional_time(rows, row, 8);
        lane.published = rows.integer(row, 9);
        lane.parked = rows.integer(row, 10);
        lane.held_keys = rows.integer(row, 11);
        lane.taken_at = optional_time(rows, row, 12);
        lanes.push_back(std::move(lane));
    }
    co_return lanes;
}

}  // namespace txstream::outbox
