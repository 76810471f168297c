#include "outbox/history.hpp"

#include "outbox/members.hpp"

#include <string_view>
#include <utility>

namespace txstream::outbox {

namespace {

static_assert(kHistorySlot.count() == 10 && kHistorySlots == 8640, "as in the statements");

constexpr pg::Statement kAsynchronousCommit{
    "txs_history_async", "SELECT set_config('synchronous_commit', 'off', true)"
};

// $12 whether it is the reporter, $13 seconds after which a member is dead. Of several that stand
// by, one fills the slot.
constexpr pg::Statement kWrite{
    "txs_history_write",
    R"(
INSERT INTO txstream.history AS h (slot, at, pending, is_estimate, oldest_pending_ms, appended,
settled, parked, breaker, blockages, p50_us, p95_us, p99_us, lanes_owned, relays)
SELECT floor(extract(epoch FROM t.at) / 10)::bigint % 8640, t.at, $1::bigint, $2::boolean,
 $3::bigint, $4::bigint, $5::bigint, $6::bigint, greatest($7::smallint, m.breaker),
 ARRAY(SELECT DISTINCT code FROM unnest($8::text[] || m.codes) AS u(code) ORDER BY code),
 $9::bigint, $10::bigint, $11::bigint, l.owned, m.relays
FROM (SELECT clock_timestamp() AS at) t
CROSS JOIN (SELECT count(*) FILTER (WHERE owner IS NOT NULL
  AND lease_ends_at >= clock_timestamp())::smallint AS owned,
  coalesce(bool_or(owner IS NOT NULL AND lease_ends_at >= clock_timestamp())
   FILTER (WHERE lane = 0), false) AS has_reporter FROM txstream.lane_positions) l
CROSS JOIN (SELECT count(*)::smallint AS relays,
  coalesce(max(array_position(ARRAY['closed', 'half_open', 'open'], breaker)) - 1,
   0)::smallint AS breaker,
  ARRAY(SELECT DISTINCT b ->> 'code' FROM txstream.members o,
   json_array_elements(o.blockages) b
   WHERE o.seen_at >= clock_timestamp() - $13::bigint * interval '1 second') AS codes
 FROM txstream.members
 WHERE seen_at >= clock_timestamp() - $13::bigint * interval '1 second') m
WHERE $12::boolean OR NOT l.has_reporter
ON CONFLICT (slot) DO UPDATE SET at = excluded.at, pending = excluded.pending,
 is_estimate = excluded.is_estimate, oldest_pending_ms = excluded.oldest_pending_ms,
 appended = excluded.appended, settled = excluded.settled, parked = excluded.parked,
 breaker = excluded.breaker, blockages = excluded.blockages, p50_us = excluded.p50_us,
 p95_us = excluded.p95_us, p99_us = excluded.p99_us, lanes_owned = excluded.lanes_owned,
 relays = excluded.relays
WHERE $12::boolean OR h.at < excluded.at - interval '10 seconds')"
};

#define TXS_SLOT                                                                           \
    "at, greatest(extract(epoch FROM clock_timestamp() - at) * 1000, 0)::bigint, pending," \
    " is_estimate, oldest_pending_ms, appended, settled, parked, breaker,"                 \
    " array_to_string(blockages, ','), p50_us, p95_us, p99_us, lanes_owned, relays"
constexpr int kSlotColumns = 15;

constexpr pg::Statement kNewest{
    "txs_history_newest",
    R"(
SELECT )" TXS_SLOT R"( FROM txstream.history WHERE at > clock_timestamp() - interval '1 day'
ORDER BY at DESC LIMIT $1)"
};

// $1 hours, $2 the step in seconds.
constexpr pg::Statement kSeries{
    "txs_history_series",
    R"(
SELECT floor(extract(epoch FROM at) / $2::bigint)::bigint * $2::bigint AS step, max(at),
max(pending), max(oldest_pending_ms), max(appended), max(settled), max(parked), max(p50_us),
max(p95_us), max(p99_us)
FROM txstream.history WHERE at > clock_timestamp() - $1::bigint * interval '1 hour'
GROUP BY step ORDER BY step)"
};

// A slot that is missing for longer than it takes another relay to take the lanes over is a gap.
constexpr pg::Statement kChanges{
    "txs_history_changes",
    R"(
SELECT * FROM (SELECT )" TXS_SLOT
    R"(, lag(at) OVER w AS at0, 0::bigint AS age0, lag(pending) OVER w, lag(is_estimate) OVER w,
lag(oldest_pending_ms) OVER w, lag(appended) OVER w, lag(settled) OVER w,
lag(parked) OVER w AS parked0, lag(breaker) OVER w AS breaker0,
lag(array_to_string(blockages, ',')) OVER w AS blockages0, lag(p50_us) OVER w,
lag(p95_us) OVER w, lag(p99_us) OVER w, lag(lanes_owned) OVER w AS owned0,
lag(relays) OVER w, breaker AS breaker1, blockages AS blockages1, parked AS parked1,
lanes_owned AS owned1
FROM txstream.history WHERE at > clock_timestamp() - interval '1 day'
WINDOW w AS (ORDER BY at)) s
WHERE breaker1 IS DISTINCT FROM breaker0
OR array_to_string(blockages1, ',') IS DISTINCT FROM blockages0 OR parked1 > parked0
OR owned1 IS DISTINCT FROM owned0 OR at - at0 > interval '45 seconds'
ORDER BY at DESC LIMIT $1)"
};
#undef TXS_SLOT

std::vector<std::string> words(std::string_view list) {
    std::vector<std::string> all;
    while (!list.empty()) {
        const auto comma = list.find(',');
        all.emplace_back(list.substr(0, comma));
        list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    }
    return all;
}

std::optional<std::int64_t> optional_integer(const pg::Rows& rows, std::size_t row, int column) {
    if (rows.is_null(row, column)) return std::nullopt;
    return rows.integer(row, column);
}

HistorySlot slot_of(const pg::Rows& rows, std::size_t row, int first) {
    HistorySlot slot;
    slot.at = rows.time(row, first);
    slot.age = std::chrono::milliseconds(rows.integer(row, first + 1));
    slot.pending = static_cast<std::uint64_t>(rows.integer(row, first + 2));
    slot.is_estimate = rows.boolean(row, first + 3);
    slot.oldest_pending_ms = optional_integer(rows, row, first + 4);
    slot.appended = rows.integer(row, first + 5);
    slot.settled = rows.integer(row, first + 6);
    slot.parked = static_cast<std::uint64_t>(rows.integer(row, first + 7));
    slot.breaker = static_cast<int>(rows.integer(row, first + 8));
    slot.blockages = words(rows.bytes(row, first + 9));
    slot.p50_us = optional_integer(rows, row, first + 10);
    slot.p95_us = optional_integer(rows, row, first + 11);
    slot.p99_us = optional_integer(rows, row, first + 12);
    slot.lanes_owned = static_cast<int>(rows.integer(row, first + 13));
    slot.relays = static_cast<int>(rows.integer(row, first + 14));
    return slot;
}

}  // namespace

Task<Result<>> write_history(
    pg::Connection& connection, HistoryEntry entry, bool is_reporter, Deadline deadline
) {
    pg::Params params;
    params.add(entry.pending).add(entry.is_estimate).add(entry.oldest_pending_ms);
    params.add(entry.appended).add(entry.settled).add(entry.parked).add(entry.breaker);
    params.add_texts(entry.blockages);
    params.add(entry.p50_us).add(entry.p95_us).add(entry.p99_us);
    params.add(is_reporter).add(std::int64_t{kMemberSilenceMax.count()});
    std::vector<pg::Connection::Step> steps;
    steps.push_back({kAsynchronousCommit, {}});
    steps.push_back({kWrite, std::move(params)});
    TXS_CO_CHECK(co_await connection.transact(std::move(steps), deadline));
    co_return Result<>();
}

Task<Result<std::vector<HistorySlot>>> read_newest_history(
    pg::Connection& connection, std::size_t slots, Deadline deadline
) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kNewest, pg::Params::of(slots), deadline));
    std::vector<HistorySlot> all;
    for (std::size_t row = 0; row < rows.size(); ++row) all.push_back(slot_of(rows, row, 0));
    co_return all;
}

Task<Result<std::vector<HistoryPoint>>> read_history(
    pg::Connection& connection,
    std::chrono::hours hours,
    std::chrono::seconds step,
    Deadline deadline
) {
    auto params = pg::Params::of(std::int64_t{hours.count()}, std::int64_t{step.count()});
    TXS_CO_TRY(const auto rows, co_await connection.run(kSeries, std::move(params), deadline));
    std::vector<HistoryPoint> all;
    for (std::size_t row = 0; row < rows.size(); ++row) {
        HistoryPoint point;
        point.at = rows.integer(row, 0);
        point.last_at = rows.time(row, 1);
        point.pending = static_cast<std::uint64_t>(rows.integer(row, 2));
        point.oldest_pending_ms = optional_integer(rows, row, 3);
        point.appended = rows.integer(row, 4);
        point.settled = rows.integer(row, 5);
        point.parked = static_cast<std::uint64_t>(rows.integer(row, 6));
        point.p50_us = optional_integer(rows, row, 7);
        point.p95_us = optional_integer(rows, row, 8);
        point.p99_us = optional_integer(rows, row, 9);
        all.push_back(point);
    }
    co_return all;
}

Task<Result<std::vector<HistoryChange>>> read_history_changes(
    pg::Connection& connection, std::size_t limit, Deadline deadline
) {
    TXS_CO_TRY(const auto rows, co_await connection.run(kChanges, pg::Params::of(limit), deadline));
    std::vector<HistoryChange> all;
    for (std::size_t row = rows.size(); row-- > 0;) {
        HistoryChange change{.before = std::nullopt, .now = slot_of(rows, row, 0)};
        if (!rows.is_null(row, kSlotColumns)) change.before = slot_of(rows, row, kSlotColumns);
        all.push_back(std::move(change));
    }
    co_return all;
}

}  // namespace txstream::outbox
