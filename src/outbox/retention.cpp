#include "outbox/retention.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace txstream::outbox {

namespace {

constexpr pg::Statement kStep{
    "txs_retention_step",
    "SELECT m.action, m.detail"
    " FROM txstream.maintain_outbox($1::bigint * interval '1 ms', $2::bigint) m"
};

constexpr pg::Statement kForget{
    "txs_retention_forget",
    "SELECT txstream.forget($1::text, $2::bigint * interval '1 ms', $3::integer)"
};

// $1 the age in ms, 0 for ever. The numbers of PartitionState::Kept.
constexpr pg::Statement kState{
    "txs_retention_state",
    R"(
WITH bound AS (SELECT d.published, d.aged, pg_snapshot_xmin(pg_current_snapshot())::text::numeric AS ended
 FROM txstream.outbox_droppable($1::bigint * interval '1 ms') d),
last AS (SELECT lane, owner, advanced_at FROM txstream.lane_positions
 ORDER BY pg_snapshot_xmin(cursor), lane LIMIT 1),
parts AS MATERIALIZED (SELECT * FROM txstream.outbox_partitions),
filled AS (SELECT p.*, (SELECT min(t.at) FROM txstream.outbox_times t
  WHERE t.xid::text::numeric >= p.upper_bound) AS closed_at
 FROM parts p WHERE NOT p.is_empty)
SELECT clock_timestamp(), (SELECT count(*) FROM parts),
 (SELECT coalesce(sum(bytes), 0)::bigint FROM parts), last.lane, last.owner, last.advanced_at,
 f.name, f.bytes, f.closed_at,
 CASE WHEN $1::bigint = 0 THEN 5 WHEN coalesce(f.upper_bound > bound.ended, true) THEN 1
  WHEN coalesce(f.upper_bound > bound.aged, true) THEN 2
  WHEN coalesce(f.upper_bound > bound.published, true) THEN 3
  WHEN d.id IS NOT NULL THEN 4 ELSE 0 END,
 d.id, d.event_id::text, d.state, d.first_attempt_at
FROM bound CROSS JOIN last LEFT JOIN filled f ON true
LEFT JOIN LATERAL (SELECT * FROM txstream.dead_letters d
 WHERE d.state IN ('parked', 'replaying') AND d.xid >= coalesce(f.lower_bound, 0)::text::xid8
  AND d.xid < f.upper_bound::text::xid8 ORDER BY d.xid LIMIT 1) d ON true
ORDER BY f.lower_bound NULLS FIRST LIMIT 100)",
    pg::Planning::each_time
};

std::optional<Retention::Action> action_from(std::string_view word) {
    using enum Retention::Action;
    for (const auto one : {nothing, busy, locked, foreign, made, ending, dropped})
        if (word == to_string(one)) return one;
    // The parts of it.
    for (const std::string_view part : {"validated", "ended", "given_up"})
        if (word == part) return ending;
    return std::nullopt;
}

std::optional<Moment> optional_time(const pg::Rows& rows, std::size_t row, int column) {
    if (rows.is_null(row, column)) return std::nullopt;
    return rows.time(row, column);
}

}  // namespace

std::string_view to_string(Retention::Action action) noexcept {
    switch (action) {
        case Retention::Action::nothing:
            return "nothing";
        case Retention::Action::busy:
            return "busy";
        case Retention::Action::locked:
            return "locked";
        case Retention::Action::foreign:
            return "foreign";
        case Retention::Action::made:
            return "made";
        case Retention::Action::ending:
            return "ending";
        case Retention::Action::dropped:
            return "dropped";
    }
    return "";
}

Task<Result<Retention::Step>> Retention::step(pg::Connection& connection, Deadline deadline) const {
    if (ages_.events.count() == 0) co_return Step();
    auto params = pg::Params::of(std::int64_t{ages_.events.count()}, ids_min_);
    TXS_CO_TRY(const auto rows, co_await connection.run(kStep, std::move(params), deadline));
    const auto action = action_from(rows.bytes(0, 0));
    if (!action)
        co_return fail(
            Code::corrupt, fmt::format("retention knows no action {}", rows.bytes(0, 0))
        );
    co_return Step{*action, std::string(rows.bytes(0, 1))};
}

Task<Result<std::int64_t>> Retention::forget(
    pg::Connection& connection, std::string_view table, Deadline deadline
) const {
    auto age = ages_.audit;
    if (table == "positions") age = ages_.positions;
    if (table == "dead_letters") age = ages_.dead_letters;
    if (table == "jobs") age = ages_.jobs;
    if (age.count() == 0) co_return std::int64_t{0};
    auto params = pg::Params::of(table, std::int64_t{age.count()}, kRowsPerStep);
    TXS_CO_TRY(const auto rows, co_await connection.run(kForget, std::move(params), deadline));
    co_return rows.integer(0, 0);
}

Task<Result<RetentionState>> read_retention(
    pg::Connection& connection, std::chrono::milliseconds age, Deadline deadline
) {
    auto params = pg::Params::of(std::int64_t{age.count()});
    TXS_CO_TRY(const auto rows, co_await connection.run(kState, std::move(params), deadline));
    if (rows.empty()) co_return fail(Code::corrupt, "txstream.lanes is empty");
    RetentionState state;
    state.now = rows.time(0, 0);
    state.partitions = rows.integer(0, 1);
    state.bytes = static_cast<std::uint64_t>(rows.integer(0, 2));
    state.last_lane.lane = LaneId(static_cast<std::int16_t>(rows.integer(0, 3)));
    if (!rows.is_null(0, 4)) state.last_lane.owner = rows.bytes(0, 4);
    state.last_lane.advanced_at = optional_time(rows, 0, 5);
    for (std::size_t row = 0; row < rows.size(); ++row) {
        if (rows.is_null(row, 6)) continue;
        const auto kept = static_cast<PartitionState::Kept>(rows.integer(row, 9));
        state.filled.push_back(
            {.name = std::string(rows.bytes(row, 6)),
             .bytes = static_cast<std::uint64_t>(rows.integer(row, 7)),
             .closed_at = optional_time(rows, row, 8),
             .kept = kept}
        );
        if (kept != PartitionState::Kept::letter || state.letter) continue;
        state.letter = RetentionState::Letter{
            .id = rows.integer(row, 10),
            .event_id = std::string(rows.bytes(row, 11)),
            .state = std::string(rows.bytes(row, 12)),
            .parked_at = rows.time(row, 13)
        };
    }
    co_return state;
}

std::chrono::seconds RetentionState::oldest_age() const {
    if (filled.empty() || !filled.front().closed_at) return {};
    return std::max(
        std::chrono::floor<std::chrono::seconds>(now - *filled.front().closed_at),
        std::chrono::seconds()
    );
}

std::chrono::seconds RetentionState::overdue(std::chrono::milliseconds age) const {
    if (age.count() == 0) return {};
    const auto over = oldest_age() - std::chrono::ceil<std::chrono::seconds>(age);
    return std::max(over, std::chrono::seconds());
}

std::string why_kept(const RetentionState& state) {
    if (state.filled.empty()) return "the outbox has no events";
    switch (state.filled.front().kept) {
        case PartitionState::Kept::no:
            return "nothing keeps it: it is dropped with the next step";
        case PartitionState::Kept::in_use:
            return "transaction ids are still in it";
        case PartitionState::Kept::age:
            return "it is not old enough";
        case PartitionState::Kept::cursor:
            return fmt::format(
                "the cursor of lane {} has not passed it ({})",
                state.last_lane.lane.value(),
                state.last_lane.owner ? "its owner is " + *state.last_lane.owner
                                      : "no relay owns the lane"
            );
        case PartitionState::Kept::letter:
            return fmt::format(
                "the event {} of it is {}; replay or discard it",
                state.letter ? state.letter->event_id : "",
                state.letter ? state.letter->state : ""
            );
        case PartitionState::Kept::always:
            return "events are kept for ever (OUTBOX_RETENTION is 0)";
    }
    return "";
}

}  // namespace txstream::outbox
