#include "outbox/letter_copies.hpp"

#include "outbox/event_row.hpp"

#include <utility>

namespace txstream::outbox {

namespace {

// $1 lanes, $2 rows, $3 bytes, $4 bytes of an event that is read. The columns of Events, then those
// of the fault. As with a replay (lane_store_replay.cpp) the outbox's own row counts where it is
// still there.
constexpr pg::Statement kToCopy{
    "txs_letters_to_copy",
    R"(
WITH queue AS MATERIALIZED (
 SELECT d.* FROM unnest($1::smallint[]) AS k(lane) CROSS JOIN LATERAL (
  SELECT l.* FROM txstream.dead_letters l WHERE l.to_copy AND l.lane = k.lane
  ORDER BY l.id, l.xid LIMIT $2::bigint) d
 ORDER BY d.id, d.xid LIMIT $2::bigint),
whole AS (
 SELECT q.lane, q.id, q.xid, q.event_id, q.aggregate_type, q.aggregate_id, q.event_type, q.topic,
  q.key, q.content_type, q.created_at, q.attempts, q.error_class, q.error, q.first_attempt_at,
  q.last_attempt_at,
  coalesce(o.size, octet_length(q.aggregate_id)::bigint + octet_length(q.key)
   + coalesce(octet_length(q.headers::text), 0) + coalesce(octet_length(q.payload::text), 0)
   + coalesce(octet_length(q.metadata::text), 0) + coalesce(octet_length(q.payload_bytes), 0)) AS size,
  CASE WHEN o.id IS NULL THEN q.payload ELSE o.payload END AS payload,
  CASE WHEN o.id IS NULL THEN q.payload_bytes ELSE o.payload_bytes END AS payload_bytes,
  CASE WHEN o.id IS NULL THEN q.metadata ELSE o.metadata END AS metadata,
  CASE WHEN o.id IS NULL THEN q.headers ELSE o.headers END AS headers
 FROM queue q LEFT JOIN txstream.outbox o
  ON o.id = q.id AND o.xid = q.xid AND o.event_id = q.event_id),
summed AS (SELECT *, sum(CASE WHEN size <= $4::bigint THEN size ELSE 0 END) OVER w AS bytes_before
 FROM whole WINDOW w AS (ORDER BY id, xid ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
SELECT lane, id, xid, size, size <= $4::bigint, event_id, aggregate_type, aggregate_id, event_type,
 topic, key, CASE WHEN size <= $4::bigint THEN payload END,
 CASE WHEN size <= $4::bigint THEN payload_bytes END, content_type,
 CASE WHEN size <= $4::bigint AND payload IS NOT NULL THEN metadata END,
 CASE WHEN size <= $4::bigint THEN headers END, created_at, attempts, error_class, left(error, 1000),
 first_attempt_at, last_attempt_at
FROM summed WHERE coalesce(bytes_before, 0) < $3::bigint ORDER BY id, xid)"
};
// Behind the columns of Events.
enum FaultColumn { kEventId = 5, kAttempts = 17, kErrorClass, kError, kFirstAttempt, kLastAttempt };

constexpr pg::Statement kCopied{
    "txs_letters_copied",
    R"(
UPDATE txstream.dead_letters d SET to_copy = false
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS c(id, xid, event_id, attempts)
WHERE d.id = c.id AND d.xid = c.xid::xid8 AND d.event_id = c.event_id::uuid AND d.to_copy
 AND d.attempts = c.attempts)"
};

}  // namespace

Task<Result<LettersToCopy>> letters_to_copy(
    pg::Connection& connection, std::vector<LaneId> lanes, LetterLimit limit, Deadline deadline
) {
    pg::Params params;
    params.add_integers(lanes, [](LaneId lane) { return lane.value(); });
    params.add(limit.rows);
    params.add(limit.bytes);
    params.add(limit.event_bytes);
    TXS_CO_TRY(auto rows, co_await connection.run(kToCopy, std::move(params), deadline));
    LettersToCopy found;
    for (std::size_t i = 0; i < rows.size(); ++i)
        found.faults.push_back(
            {std::string(rows.uuid(i, kEventId)),
             rows.integer(i, kAttempts),
             std::string(rows.bytes(i, kErrorClass)),
             std::string(rows.bytes(i, kError)),
             timestamptz_text(rows.time(i, kFirstAttempt)),
             timestamptz_text(rows.time(i, kLastAttempt))}
        );
    found.events = Events(std::move(rows));
    co_return found;
}

Task<Result<>> letters_copied(
    pg::Connection& connection, std::vector<CopiedLetter> letters, Deadline deadline
) {
    pg::Params params;
    params.add_integers(letters, [](const CopiedLetter& one) { return one.id.id(); });
    params.add_texts(letters, [](const CopiedLetter& one) { return std::to_string(one.id.xid()); });
    params.add_texts(letters, [](const CopiedLetter& one) { return one.event_id; });
    params.add_integers(letters, [](const CopiedLetter& one) { return one.attempts; });
    TXS_CO_CHECK(co_await connection.run(kCopied, std::move(params), deadline));
    co_return Result<>();
}

}  // namespace txstream::outbox
