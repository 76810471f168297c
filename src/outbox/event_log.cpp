#include "outbox/event_log.hpp"

namespace txstream::outbox {

namespace {

// No index has the ids of all lanes: the newest are among the newest of each.
constexpr pg::Statement kNewest{
    "txs_newest_events",
    "SELECT c.id, c.aggregate_type, c.aggregate_id, c.event_type, c.status,"
    " coalesce(c.event_data::text, ''), coalesce(c.event_metadata::text, ''),"
    " c.created_at, c.published_at, c.retry_count, coalesce(c.error_message, '')"
    " FROM (SELECT o.lane, o.id FROM txstream.lanes l CROSS JOIN LATERAL"
    "   (SELECT lane, id FROM txstream.outbox WHERE lane = l.lane"
    "    ORDER BY id DESC LIMIT $1::bigint + $2::bigint) o"
    "  ORDER BY o.id DESC LIMIT $1::bigint OFFSET $2::bigint) newest"
    " CROSS JOIN LATERAL (SELECT e.event_id AS id, e.aggregate_type, e.aggregate_id, e.event_type,"
    "   CASE e.status WHEN 'parked' THEN 'failed' WHEN 'replaying' THEN 'pending'"
    "    WHEN 'replayed' THEN 'published' ELSE e.status END AS status,"
    "   e.payload_json AS event_data, e.metadata AS event_metadata, e.created_at, e.published_at,"
    "   e.attempts AS retry_count, e.last_error AS error_message"
    "  FROM txstream.events e WHERE e.lane = newest.lane AND e.id = newest.id) c"
    " ORDER BY newest.id DESC"
};

}  // namespace

Task<Result<std::vector<LoggedEvent>>> newest_events(
    pg::Connection& connection, std::size_t limit, std::size_t offset, Deadline deadline
) {
    TXS_CO_TRY(
        const auto rows, co_await connection.run(kNewest, pg::Params::of(limit, offset), deadline)
    );
    std::vector<LoggedEvent> events;
    events.reserve(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        LoggedEvent event;
        event.event_id = rows.uuid(i, 0);
        event.aggregate_type = rows.bytes(i, 1);
        event.aggregate_id = rows.bytes(i, 2);
        event.event_type = rows.bytes(i, 3);
        event.status = rows.bytes(i, 4);
        event.payload = rows.bytes(i, 5);
        event.metadata = rows.bytes(i, 6);
        event.created_at = rows.time(i, 7);
        if (!rows.is_null(i, 8)) event.published_at = rows.time(i, 8);
        event.attempts = rows.integer(i, 9);
        event.last_error = rows.bytes(i, 10);
        events.push_back(std::move(event));
    }
    co_return events;
}

}  // namespace txstream::outbox
