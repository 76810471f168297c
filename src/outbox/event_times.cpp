#include "outbox/event_times.hpp"

#include <limits>

namespace txstream::outbox {

namespace {

// The steps of a search by halves for the first id from which on events are not before `time`: each
// looks at the events behind the middle. An id that no event has counts as the next one's, so gaps
// cost nothing.
#define TXS_SAMPLE "31"
#define TXS_HALVES(time_)                                                          \
    "WITH RECURSIVE halves(low, high, steps) AS ("                                 \
    " (SELECT f.id, n.id + 1, 0"                                                   \
    "  FROM (SELECT id FROM txstream.outbox ORDER BY id LIMIT 1) f,"               \
    "  (SELECT id FROM txstream.outbox ORDER BY id DESC LIMIT 1) n)"               \
    " UNION ALL"                                                                   \
    " SELECT CASE WHEN p.is_before THEN p.id + 1 ELSE h.low END,"                  \
    "  CASE WHEN p.is_before THEN h.high ELSE h.middle END, h.steps + 1"           \
    " FROM (SELECT low, high, low + (high - low) / 2 AS middle, steps FROM halves" \
    "   WHERE low < high AND steps < 100) h"                                       \
    " CROSS JOIN LATERAL (SELECT min(r.id) AS id,"                                 \
    "   percentile_disc(0.5) WITHIN GROUP (ORDER BY r.created_at) < " time_        \
    "   AS is_before FROM (SELECT id, created_at FROM txstream.outbox"             \
    "    WHERE id >= h.middle ORDER BY id LIMIT " TXS_SAMPLE                       \
    ") r) p)"                                                                      \
    " SELECT low AS id FROM halves ORDER BY steps DESC LIMIT 1"

// The first half of a sample may be on the other side than its middle.
// clang-format off
constexpr pg::Statement kIdsAt{
    "txs_ids_at",
    R"(
SELECT s.id, (SELECT id FROM txstream.outbox WHERE id >= s.id
 ORDER BY id OFFSET )" TXS_SAMPLE R"( / 2 LIMIT 1) FROM ()" TXS_HALVES("$1::timestamptz") R"() s)"
};
// clang-format on

// Forwards first: an event is written after what tells of its time.
#define TXS_NEAR(beyond, order)                                          \
    "(SELECT * FROM (SELECT * FROM txstream.outbox WHERE id " beyond     \
    " s.id"                                                              \
    "  ORDER BY id " order ", xid " order                                \
    " LIMIT $4::bigint) w WHERE coalesce(w.key, w.aggregate_id) = t.key" \
    "  AND (t.event_id IS NULL OR w.event_id = t.event_id) LIMIT 1)"

// clang-format off
const pg::Statement kNear{
    "txs_events_near",
    R"(
SELECT )" TXS_EVENT_ROW R"(, t.place FROM (SELECT u.* FROM unnest($1::text[],
 $2::timestamptz[], $3::uuid[]) WITH ORDINALITY AS u(key, about, event_id, place)) t
CROSS JOIN LATERAL ()" TXS_HALVES("t.about") R"() s
CROSS JOIN LATERAL (SELECT * FROM ()" TXS_NEAR(">=", "ASC") R"( UNION ALL )" TXS_NEAR("<", "DESC") R"() b LIMIT 1) o)" TXS_EVENT_JOINS
};
// clang-format on

constexpr std::size_t kNearMax = 20'000;

const pg::Statement kOfKey{
    "txs_events_of_key",
    R"(
SELECT )" TXS_EVENT_ROW R"( FROM (SELECT * FROM (SELECT * FROM txstream.outbox
  WHERE (id, xid) >= ($1::bigint, $2::xid8) ORDER BY id, xid LIMIT 20000) w
 WHERE coalesce(w.key, w.aggregate_id) = $3::text LIMIT 50) o)" TXS_EVENT_JOINS R"(
ORDER BY o.id, o.xid)"
};

}  // namespace

Task<Result<std::optional<IdsAt>>> ids_at(
    pg::Connection& connection, Time time, Deadline deadline
) {
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(kIdsAt, pg::Params::of(timestamptz_text(time)), deadline)
    );
    if (rows.empty()) co_return std::nullopt;
    const auto first = rows.integer(0, 0);
    co_return IdsAt{
        first, rows.is_null(0, 1) ? std::numeric_limits<std::int64_t>::max() : rows.integer(0, 1)
    };
}

Task<Result<std::vector<std::optional<EventRow>>>> events_near(
    pg::Connection& connection,
    std::span<const Trail> trails,
    std::size_t rows_max,
    Deadline deadline
) {
    std::vector<std::optional<EventRow>> events(trails.size());
    if (trails.empty()) co_return events;
    pg::Params params;
    params.add_texts(trails, &Trail::key);
    params.add_texts(trails, [](const Trail& trail) { return timestamptz_text(trail.about); });
    params.add_texts(trails, [](const Trail& trail) -> std::optional<std::string_view> {
        return trail.event_id;
    });
    params.add(rows_max);
    TXS_CO_TRY(const auto rows, co_await connection.run(kNear, std::move(params), deadline));
    for (std::size_t i = 0; i < rows.size(); ++i)
        events[static_cast<std::size_t>(rows.integer(i, 16) - 1)] = event_row_at(rows, i);
    co_return events;
}

Task<Result<std::vector<EventRow>>> events_of_key(
    pg::Connection& connection, Trail trail, Deadline deadline
) {
    const std::vector trails{std::move(trail)};
    TXS_CO_TRY(auto found, co_await events_near(connection, trails, kNearMax, deadline));
    std::vector<EventRow> events;
    if (!found.front()) co_return events;
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(
            kOfKey,
            pg::Params::of(
                found.front()->seq.id(),
                std::to_string(found.front()->seq.xid()),
                trails.front().key
            ),
            deadline
        )
    );
    for (std::size_t i = 0; i < rows.size(); ++i) events.push_back(event_row_at(rows, i));
    co_return events;
}

}  // namespace txstream::outbox
