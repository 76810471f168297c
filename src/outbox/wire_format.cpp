#include "outbox/wire_format.hpp"

#include "base/assert.hpp"
#include "domain/timestamp.hpp"
#include "outbox/detail/wire_text.hpp"

namespace txstream::outbox {

namespace {

// Twice a uuid's text and a time with microseconds.
constexpr std::size_t kFixedTextsBytes = 160;

// Of an event in an arena.
std::size_t bytes_max(const WireFormat& format, const Event& event) {
    return format.value_bytes_max(event) + kFixedTextsBytes + event.headers.size() +
           event.key.size() + event.topic.size() + event.content_type.size() +
           event.aggregate_id.size() + event.aggregate_type.size() + event.event_type.size();
}

// A record's texts, all in the arena.
WireEvent wire_event(
    const WireFormat& format,
    const Event& event,
    std::string_view created_at,
    std::string_view default_topic,
    std::string& arena
) {
    WireEvent record;
    if (!event.has_content) record.oversize = event.size;
    const auto value_at = arena.size();
    const auto value = format.append_value(event, created_at, arena);
    record.value = std::string_view(arena).substr(value_at);
    record.is_tombstone = value.is_tombstone;
    const auto kept = [&](std::string_view place, std::string_view text) {
        return place == text ? place : append_plain(arena, text);
    };
    record.content_type =
        value.content_type.empty() ? append_plain(arena, event.content_type) : value.content_type;
    record.created_at_text = kept(value.created_at, created_at);
    record.identity = {
        .id = event.id,
        .event_id = kept(value.event_id, event.event_id),
        .event_type = kept(value.event_type, event.event_type),
        .aggregate_type = kept(value.aggregate_type, event.aggregate_type),
        .aggregate_id = kept(value.aggregate_id, event.aggregate_id),
        .created_at = event.created_at
    };
    const bool is_own_key = event.key.data() != event.aggregate_id.data();
    record.key = is_own_key ? append_plain(arena, event.key) : record.identity.aggregate_id;
    record.topic = event.topic.empty() ? default_topic : append_plain(arena, event.topic);
    if (event.headers != kNull) record.extra_headers = append_plain(arena, event.headers);
    return record;
}

}  // namespace

void append_created_at(
    std::chrono::sys_time<std::chrono::microseconds> created_at, std::string& out
) {
    if (domain::has_rfc3339(created_at)) domain::append_rfc3339(out, created_at);
}

void append_wire_events(
    const WireFormat& format,
    const Events& events,
    std::span<const std::uint32_t> which,
    std::string_view default_topic,
    std::string& arena,
    std::vector<WireEvent>& wire
) {
    TXS_ASSERT(arena.empty(), "an arena belongs to one page");
    std::vector<Event> decoded;
    decoded.reserve(which.size());
    std::size_t bytes = 0;
    for (const auto i : which) bytes += bytes_max(format, decoded.emplace_back(events.at(i)));
    arena.reserve(bytes);
    wire.reserve(wire.size() + which.size());
    const char* const memory = arena.data();
    std::string created_at;
    for (const auto& event : decoded) {
        created_at.clear();
        append_created_at(event.created_at, created_at);
        wire.push_back(wire_event(format, event, created_at, default_topic, arena));
    }
    TXS_ASSERT(arena.data() == memory, "the arena moved under its views");
}

}  // namespace txstream::outbox
