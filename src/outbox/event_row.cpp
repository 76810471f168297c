#include "outbox/event_row.hpp"

#include "base/assert.hpp"
#include "domain/timestamp.hpp"

#include <algorithm>

namespace txstream::outbox {

const char* const kConsoleSettings =
    "SET default_transaction_read_only = on; SET plan_cache_mode = force_custom_plan;"
    "SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off;"
    "SET max_parallel_workers_per_gather = 0;";

EventRow event_row_at(const pg::Rows& rows, std::size_t row) {
    EventRow event;
    event.seq = EventSeq(rows.integer(row, 0), rows.integer(row, 1));
    event.event_id = rows.uuid(row, 2);
    event.lane = LaneId(static_cast<std::int16_t>(rows.integer(row, 3)));
    const auto state = parse_event_state(rows.bytes(row, 4));
    TXS_ASSERT(state, "the table's CHECK and EventState have the same words");
    event.state = *state;
    event.event_type = rows.bytes(row, 5);
    event.aggregate_type = rows.bytes(row, 6);
    event.aggregate_id = rows.bytes(row, 7);
    event.key = rows.bytes(row, 8);
    event.topic = rows.bytes(row, 9);
    event.created_at = rows.time(row, 10);
    if (!rows.is_null(row, 11)) event.published_at = rows.time(row, 11);
    event.attempts = rows.integer(row, 12);
    event.error_class = rows.bytes(row, 13);
    event.error = rows.bytes(row, 14);
    event.size = rows.integer(row, 15);
    return event;
}

std::string timestamptz_text(Time time) {
    using namespace std::chrono;
    // Infinity and its neighbours are times of nothing.
    constexpr Time kFirst = sys_days(year(1) / January / 1);
    constexpr Time kLast = sys_days(year(9999) / December / 31);
    const auto at = std::clamp(time, kFirst, kLast);
    std::string text;
    domain::append_rfc3339(text, at);
    return text;
}

}  // namespace txstream::outbox
