#include "outbox/event_detail.hpp"

#include "outbox/record_headers.hpp"
#include "telemetry/trace_context.hpp"

#include <algorithm>

namespace txstream::outbox {

namespace {

// Of an event whose row retention has dropped the dead letter tells all. $1, $2: id, xid.
#define TXS_FOUND                                                                              \
    "(SELECT f.* FROM ("                                                                       \
    "  SELECT true AS is_in_outbox, lane, id, xid, created_at, size, event_id,"                \
    "   aggregate_type, aggregate_id, event_type, topic, key, payload, payload_bytes,"         \
    "   content_type, metadata, headers FROM txstream.outbox"                                  \
    "   WHERE id = $1::bigint AND xid = $2::xid8"                                              \
    "  UNION ALL"                                                                              \
    "  SELECT false, d.lane, d.id, d.xid, d.created_at, " TXS_DEAD_LETTER_SIZE                 \
    ", d.event_id, d.aggregate_type, d.aggregate_id, d.event_type, d.topic, d.key, d.payload," \
    "   d.payload_bytes, d.content_type, d.metadata, d.headers"                                \
    "   FROM txstream.dead_letters d WHERE d.id = $1::bigint AND d.xid = $2::xid8) f"          \
    " ORDER BY f.is_in_outbox DESC LIMIT 1) o"
#define TXS_PAYLOAD "coalesce(convert_to(o.payload::text, 'UTF8'), o.payload_bytes)"

// $3 bytes of the payload that are shown, $4 the largest event whose payload is read.
const pg::Statement kEvent{
    "txs_event_detail",
    R"(
SELECT )" TXS_EVENT_ROW
    R"(, o.is_in_outbox, o.payload IS NOT NULL OR o.payload_bytes IS NOT NULL, o.payload IS NOT NULL,
CASE WHEN o.size <= $4::bigint THEN substring()" TXS_PAYLOAD R"( FROM 1 FOR $3::integer) END,
CASE WHEN o.size <= $4::bigint THEN octet_length()" TXS_PAYLOAD R"() ELSE o.size END,
o.content_type, o.headers::text,
CASE WHEN pg_column_size(o.metadata) <= 1048576 THEN left(o.metadata::text, $3::integer) END,
CASE WHEN pg_column_size(o.metadata) <= 1048576 THEN octet_length(o.metadata::text)
 ELSE pg_column_size(o.metadata) END,
d.state, d.attempts, d.error_class, left(d.error, 4000), d.first_attempt_at,
d.last_attempt_at, coalesce(d.resolved_by, ''), coalesce(d.resolved_reason, ''), d.holds
FROM )" TXS_FOUND TXS_EVENT_JOINS
};
enum Column {
    kInOutbox = 16,
    kHasPayload,
    kIsJson,
    kPayload,
    kPayloadSize,
    kContentType,
    kHeaders,
    kMetadata,
    kMetadataSize,
    kDeadState,
    kAttempts,
    kErrorClass,
    kError,
    kFirstAttempt,
    kLastAttempt,
    kResolvedBy,
    kResolvedReason,
    kHolds,
};

const pg::Statement kAcknowledged{
    "txs_event_acknowledged",
    R"(
SELECT p.id, p.written_at, p.events, p.records::text FROM (SELECT $1::bigint AS id,
 $2::xid8 AS xid, $3::smallint AS lane) o CROSS JOIN LATERAL
(SELECT * FROM txstream.positions WHERE events > 0 AND last_event >= o.id
 ORDER BY last_event LIMIT 20000) p WHERE p.first_event <= o.id
AND txstream.acknowledged_with(p, o.lane, o.id, o.xid) LIMIT 1)"
};

// $1, $2 the event, $3 its key, $4 how many on each side, $5 among how many.
#define TXS_SIDE(beyond, order)                                                        \
    "(SELECT w.id, w.xid FROM (SELECT id, xid, key, aggregate_id FROM txstream.outbox" \
    "  WHERE (id, xid) " beyond                                                        \
    " ($1::bigint, $2::xid8)"                                                          \
    "  ORDER BY id " order ", xid " order                                              \
    " LIMIT $5::bigint) w WHERE coalesce(w.key, w.aggregate_id) = $3::text LIMIT $4::bigint)"
const pg::Statement kNeighbours{
    "txs_event_neighbours",
    "SELECT " TXS_EVENT_ROW " FROM (" TXS_SIDE("<", "DESC") " UNION ALL " TXS_SIDE(
        ">=", "ASC"
    ) ") n JOIN txstream.outbox o ON o.id = n.id AND o.xid = n.xid" TXS_EVENT_JOINS
      " ORDER BY o.id, o.xid"
};

// By the lane's index of what is held, whose rows are few beside all dead letters: the place may
// not offer the planner another.
const pg::Statement kHeldBehind{
    "txs_event_held_behind",
    R"(
SELECT )" TXS_DEAD_LETTER_ROW R"(
FROM (SELECT * FROM txstream.dead_letters WHERE lane = $3::smallint
 AND holds AND state IN ('parked', 'replaying') AND key = $4::text OFFSET 0) d
WHERE (d.id, d.xid) < ($1::bigint, $2::xid8) ORDER BY d.id, d.xid LIMIT 1)"
};

const pg::Statement kPayloadPart{
    "txs_event_payload",
    "SELECT substring(" TXS_PAYLOAD " FROM $3::integer FOR $4::integer), o.id FROM " TXS_FOUND
};

void form_headers(EventDetail& detail) {
    WireEvent wire;
    std::string created_at;
    append_created_at(detail.event.created_at, created_at);
    wire.identity.event_id = detail.event.event_id;
    wire.identity.event_type = detail.event.event_type;
    wire.identity.aggregate_type = detail.event.aggregate_type;
    wire.identity.aggregate_id = detail.event.aggregate_id;
    wire.content_type = detail.content_type;
    wire.created_at_text = created_at;
    wire.extra_headers = detail.own_headers;
    RecordHeaders headers;
    for (const auto& header : headers.of(wire))
        detail.headers.emplace_back(header.name, header.value);
    if (const auto trace = telemetry::parse_traceparent(headers.traceparent()))
        detail.trace_id = to_string(trace->trace_id);
}

EventDetail detail_of(const pg::Rows& rows) {
    const auto text = [&](Column column) {
        return rows.is_null(0, column) ? std::string() : std::string(rows.bytes(0, column));
    };
    EventDetail detail;
    detail.event = event_row_at(rows, 0);
    detail.is_in_outbox = rows.boolean(0, kInOutbox);
    detail.has_payload = rows.boolean(0, kHasPayload);
    detail.is_json = rows.boolean(0, kIsJson);
    detail.payload = text(kPayload);
    if (detail.has_payload)
        detail.payload_size = static_cast<std::uint64_t>(rows.integer(0, kPayloadSize));
    // A JSON payload travels in the envelope, whatever its writer called it.
    detail.content_type = detail.is_json ? "application/json" : text(kContentType);
    detail.own_headers = text(kHeaders);
    if (detail.own_headers == "null") detail.own_headers.clear();
    detail.metadata = text(kMetadata);
    if (!rows.is_null(0, kMetadataSize))
        detail.metadata_size = static_cast<std::uint64_t>(rows.integer(0, kMetadataSize));
    if (!rows.is_null(0, kDeadState)) {
        detail.dead_letter = DeadLetterFacts{
            parse_event_state(rows.bytes(0, kDeadState)).value_or(EventState::parked),
            rows.integer(0, kAttempts),
            text(kErrorClass),
            text(kError),
            rows.time(0, kFirstAttempt),
            rows.time(0, kLastAttempt),
            text(kResolvedBy),
            text(kResolvedReason),
            rows.boolean(0, kHolds)
        };
    }
    form_headers(detail);
    return detail;
}

}  // namespace

Task<Result<EventDetail>> event_detail(
    pg::Connection& connection, EventSeq seq, DetailLimits limits, Deadline deadline
) {
    const auto xid = std::to_string(seq.xid());
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(
            kEvent,
            pg::Params::of(seq.id(), xid, limits.payload_bytes, limits.event_bytes_max),
            deadline
        )
    );
    if (rows.empty()) co_return fail(Code::not_found, "");
    auto detail = detail_of(rows);
    const auto lane = detail.event.lane.value();
    if (detail.event.state == EventState::published) {
        TXS_CO_TRY(
            const auto found,
            co_await connection.run(kAcknowledged, pg::Params::of(seq.id(), xid, lane), deadline)
        );
        if (!found.empty())
            detail.publication = PublicationFacts{
                found.integer(0, 0),
                found.time(0, 1),
                found.integer(0, 2),
                std::string(found.bytes(0, 3))
            };
    } else if (!detail.dead_letter || detail.dead_letter->holds) {
        TXS_CO_TRY(
            const auto held,
            co_await connection.run(
                kHeldBehind, pg::Params::of(seq.id(), xid, lane, detail.event.key), deadline
            )
        );
        if (!held.empty()) detail.held_behind = event_row_at(held, 0);
    }
    TXS_CO_TRY(
        const auto near,
        co_await connection.run(
            kNeighbours,
            pg::Params::of(
                seq.id(),
                xid,
                detail.event.key,
                // The event itself is the first of those that are not before it.
                limits.neighbours + 1,
                limits.neighbour_rows_max
            ),
            deadline
        )
    );
    for (std::size_t i = 0; i < near.size(); ++i)
        detail.neighbours.push_back(event_row_at(near, i));
    if (!detail.is_in_outbox) detail.neighbours.push_back(detail.event);
    std::ranges::sort(detail.neighbours, {}, &EventRow::seq);
    co_return detail;
}

Task<Result<std::string>> event_payload(
    pg::Connection& connection,
    EventSeq seq,
    std::uint64_t offset,
    std::size_t bytes,
    Deadline deadline
) {
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(
            kPayloadPart,
            pg::Params::of(seq.id(), std::to_string(seq.xid()), offset + 1, bytes),
            deadline
        )
    );
    if (rows.empty()) co_return fail(Code::not_found, "");
    co_return rows.is_null(0, 0) ? std::string() : std::string(rows.bytes(0, 0));
}

}  // namespace txstream::outbox
