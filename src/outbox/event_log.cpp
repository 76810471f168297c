#include "outbox/event_log.hpp"

namespace txstream::outbox {

// No index has the ids of all lanes: the newest are among the newest of each. The lengths of texts
// are known without reading them, so what the sum cuts off is not read.
const pg::Statement kNewestEvents{
    "txs_newest_events",
    "SELECT id, aggregate_type, aggregate_id, event_type, status,"
    " coalesce(event_data::text, ''), coalesce(event_metadata::text, ''),"
    " created_at, published_at, retry_count, coalesce(error_message, ''), found"
    " FROM (SELECT newest.id AS seq, c.*, count(*) OVER () AS found,"
    "   row_number() OVER in_order AS place,"
    "   sum(octet_length(c.aggregate_id) + coalesce(octet_length(c.event_data::text), 0)"
    "    + coalesce(octet_length(c.event_metadata::text), 0)"
    "    + coalesce(octet_length(c.error_message), 0)) OVER in_order AS bytes"
    "  FROM (SELECT o.lane, o.id FROM txstream.lanes l CROSS JOIN LATERAL"
    "    (SELECT lane, id FROM txstream.outbox WHERE lane = l.lane"
    "     ORDER BY id DESC LIMIT $1::bigint + $2::bigint) o"
    "   ORDER BY o.id DESC LIMIT $1::bigint OFFSET $2::bigint) newest"
    "  CROSS JOIN LATERAL (SELECT e.event_id AS id, e.aggregate_type, e.aggregate_id,"
    "    e.event_type, CASE e.status WHEN 'parked' THEN 'failed' WHEN 'replaying' THEN 'pending'"
    "     WHEN 'replayed' THEN 'published' ELSE e.status END AS status,"
    "    e.payload_json AS event_data, e.metadata AS event_metadata, e.created_at,"
    "    e.published_at, e.attempts AS retry_count, e.last_error AS error_message"
    "   FROM txstream.events e WHERE e.lane = newest.lane AND e.id = newest.id) c"
    "  WINDOW in_order AS (ORDER BY newest.id DESC)) listed"
    " WHERE place = 1 OR bytes <= $3::bigint ORDER BY seq DESC",
    pg::Planning::each_time
};

Task<Result<LoggedPage>> newest_events(
    pg::Connection& connection, LogWindow window, Deadline deadline
) {
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(
            kNewestEvents, pg::Params::of(window.limit, window.offset, window.bytes_max), deadline
        )
    );
    LoggedPage page;
    page.events.reserve(rows.size());
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
        page.is_cut = rows.integer(i, 11) > static_cast<std::int64_t>(rows.size());
        page.events.push_back(std::move(event));
    }
    co_return page;
}

}  // namespace txstream::outbox
