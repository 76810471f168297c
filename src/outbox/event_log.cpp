#include "outbox/event_log.hpp"

// Brokers' errors are of any length, and an escaped character takes six bytes.
#define TXS_ERROR_CHARACTERS "2000"

namespace txstream::outbox {

// An event's size is stored with it, so what is left out is not even decompressed. Only the
// metadata of an event without a JSON payload are not in it, since no record holds them: their
// length is asked for, unless they are too large even compressed. "shown" is what an event would
// take here, "bytes" the sum up to its place.
const pg::Statement kNewestEvents{
    "txs_newest_events",
    R"(
SELECT id, aggregate_type, aggregate_id, event_type, status,
CASE WHEN shown <= $4::bigint THEN coalesce(event_data::text, '') ELSE '' END,
CASE WHEN shown <= $4::bigint THEN coalesce(event_metadata::text, '') ELSE '' END,
created_at, published_at, retry_count, coalesce(error_message, ''), size,
shown > $4::bigint, found
FROM (SELECT newest.id AS seq, newest.xid AS seq_xid, c.*, count(*) OVER () AS found,
  row_number() OVER in_order AS place,
  sum(octet_length(c.aggregate_id) + coalesce(octet_length(c.error_message), 0)
   + CASE WHEN c.shown <= $4::bigint THEN c.shown ELSE 0 END) OVER in_order AS bytes
 FROM (SELECT id, xid FROM txstream.outbox
  ORDER BY id DESC, xid DESC LIMIT $1::bigint OFFSET $2::bigint) newest
 CROSS JOIN LATERAL (SELECT e.event_id AS id, e.aggregate_type, e.aggregate_id,
   e.event_type, CASE e.status WHEN 'parked' THEN 'failed' WHEN 'replaying' THEN 'pending'
    WHEN 'replayed' THEN 'published' ELSE e.status END AS status,
   e.payload_json AS event_data, e.metadata AS event_metadata, e.created_at,
   e.published_at, e.attempts AS retry_count, left(e.last_error, )" TXS_ERROR_CHARACTERS
    R"() AS error_message, e.size,
   CASE WHEN e.payload_json IS NOT NULL THEN e.size
    WHEN pg_column_size(e.metadata) > $4::bigint THEN pg_column_size(e.metadata)
    ELSE coalesce(octet_length(e.metadata::text), 0) END AS shown
  FROM txstream.events e WHERE e.id = newest.id AND e.xid = newest.xid) c
 WINDOW in_order AS (ORDER BY newest.id DESC, newest.xid DESC)) listed
WHERE place = 1 OR bytes <= $3::bigint ORDER BY seq DESC, seq_xid DESC)",
    pg::Planning::each_time
};

Task<Result<LoggedPage>> newest_events(
    pg::Connection& connection, LogWindow window, Deadline deadline
) {
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(
            kNewestEvents,
            pg::Params::of(window.limit, window.offset, window.bytes_max, window.event_bytes_max),
            deadline
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
        event.size = rows.integer(i, 11);
        event.is_omitted = rows.boolean(i, 12);
        page.is_cut = rows.integer(i, 13) > static_cast<std::int64_t>(rows.size());
        page.events.push_back(std::move(event));
    }
    co_return page;
}

}  // namespace txstream::outbox
