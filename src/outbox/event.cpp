#include "outbox/event.hpp"

namespace txstream::outbox {

namespace {

// The columns of TXS_FETCHED_COLUMNS in reader.cpp, in that order.
enum Column {
    kLane,
    kId,
    kXid,
    kSize,
    kHasContent,
    kEventId,
    kAggregateType,
    kAggregateId,
    kEventType,
    kTopic,
    kKey,
    kPayload,
    kPayloadBytes,
    kContentType,
    kMetadata,
    kHeaders,
    kCreatedAt,
};

}  // namespace

EventSeq Events::id(std::size_t i) const {
    return EventSeq(rows_.integer(i, kId), rows_.integer(i, kXid));
}

std::size_t Events::size_of(std::size_t i) const {
    return static_cast<std::size_t>(rows_.integer(i, kSize));
}

bool Events::has_content(std::size_t i) const {
    return rows_.boolean(i, kHasContent);
}

LaneId Events::lane(std::size_t i) const {
    return LaneId(static_cast<std::int16_t>(rows_.integer(i, kLane)));
}

Event Events::at(std::size_t i) const {
    const auto text = [&](int column) { return rows_.bytes(i, column); };
    Event event;
    event.id = id(i);
    event.lane = lane(i);
    event.event_id = rows_.uuid(i, kEventId);
    event.aggregate_type = text(kAggregateType);
    event.aggregate_id = text(kAggregateId);
    event.event_type = text(kEventType);
    event.topic = text(kTopic);
    event.key = rows_.is_null(i, kKey) ? event.aggregate_id : rows_.bytes(i, kKey);
    event.payload_is_json = rows_.is_null(i, kPayloadBytes);
    event.payload = event.payload_is_json ? text(kPayload) : text(kPayloadBytes);
    event.payload_is_null = event.payload_is_json && rows_.is_null(i, kPayload);
    event.has_content = has_content(i);
    event.size = size_of(i);
    event.content_type = text(kContentType);
    event.metadata = text(kMetadata);
    event.headers = text(kHeaders);
    event.created_at = rows_.time(i, kCreatedAt);
    return event;
}

}  // namespace txstream::outbox
