#include "relay/record_format.hpp"

#include "base/assert.hpp"
#include "domain/json_value.hpp"
#include "domain/json_writer.hpp"
#include "domain/timestamp.hpp"
#include "telemetry/log.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace txstream::relay {

namespace {

constexpr std::string_view kJson = "application/json";

// The envelope's member names and punctuation, the event id and a time with microseconds.
constexpr std::size_t kEnvelopeBytes = 256;
// "\u00XX" for one byte.
constexpr std::size_t kEscapedMax = 6;

// Names that only we write: consumers trust them.
constexpr std::array<std::string_view, 4> kOwnHeaders{
    "event_type", "aggregate_type", "event_id", "content-type"
};

std::size_t envelope_bytes_max(const outbox::Event& event) {
    return kEnvelopeBytes + event.payload.size() + event.metadata.size() +
           kEscapedMax *
               (event.aggregate_id.size() + event.aggregate_type.size() + event.event_type.size());
}

void append_envelope(const outbox::Event& event, std::string& out) {
    out += R"({"event_id":")";
    out += event.event_id;
    out += R"(","aggregate_id":)";
    domain::append_json_string(out, event.aggregate_id);
    out += R"(,"aggregate_type":)";
    domain::append_json_string(out, event.aggregate_type);
    out += R"(,"event_type":)";
    domain::append_json_string(out, event.event_type);
    out += R"(,"event_data":)";
    out += event.payload;
    out += R"(,"created_at":")";
    domain::append_rfc3339(out, event.created_at);
    out += '"';
    if (!event.metadata.empty()) {
        out += R"(,"event_metadata":)";
        out += event.metadata;
    }
    out += '}';
}

// Numbers as they were written.
void write_json(domain::JsonWriter& out, const domain::JsonValue& value) {
    switch (value.kind()) {
        case domain::JsonKind::null:
            out.null();
            break;
        case domain::JsonKind::boolean:
            out.raw(value.boolean() ? "true" : "false");
            break;
        case domain::JsonKind::number:
            out.raw(value.number_text());
            break;
        case domain::JsonKind::string:
            out.string(value.string());
            break;
        case domain::JsonKind::array:
            out.begin_array();
            for (const auto& element : value.array()) write_json(out, element);
            out.end_array();
            break;
        case domain::JsonKind::object:
            out.begin_object();
            for (const auto& [name, member] : value.object()) {
                out.key(name);
                write_json(out, member);
            }
            out.end_object();
            break;
    }
}

std::string header_text(const domain::JsonValue& value) {
    if (value.is(domain::JsonKind::string)) return value.string();
    std::string text;
    domain::JsonWriter out(text);
    write_json(out, value);
    return text;
}

}  // namespace

std::size_t WireEvent::bytes() const noexcept {
    return key.size() + value.size() + event_id.size() + event_type.size() + aggregate_type.size() +
           content_type.size() + extra_headers.size();
}

void append_wire_events(
    const outbox::Events& events,
    std::size_t begin,
    std::size_t end,
    std::string_view default_topic,
    std::string& arena,
    std::vector<WireEvent>& wire
) {
    TXS_ASSERT(arena.empty(), "an arena belongs to one page");
    wire.reserve(wire.size() + (end - begin));
    std::size_t bytes = 0;
    for (auto i = begin; i < end; ++i) bytes += envelope_bytes_max(events.at(i));
    arena.reserve(bytes);
    const char* const memory = arena.data();
    const auto since = [&](std::size_t start) { return std::string_view(arena).substr(start); };
    for (auto i = begin; i < end; ++i) {
        const auto event = events.at(i);
        WireEvent record;
        record.id = event.id;
        record.topic = event.topic.empty() ? default_topic : event.topic;
        record.key = event.key;
        record.event_type = event.event_type;
        record.aggregate_type = event.aggregate_type;
        record.extra_headers = event.headers;
        record.created_at = event.created_at;
        if (!event.has_content) record.oversize = event.size;
        const auto id_at = arena.size();
        arena += event.event_id;
        record.event_id = since(id_at);
        if (event.payload_is_json && !event.payload_is_null) {
            const auto value_at = arena.size();
            append_envelope(event, arena);
            record.value = since(value_at);
            record.content_type = kJson;
        } else {
            record.value = event.payload;
            record.is_tombstone = event.payload_is_null;
            record.content_type = event.content_type;
        }
        wire.push_back(record);
    }
    TXS_ASSERT(arena.data() == memory, "the arena moved under its views");
}

std::span<const Header> RecordHeaders::of(const WireEvent& event) {
    headers_.clear();
    headers_.push_back({kOwnHeaders[0], event.event_type});
    headers_.push_back({kOwnHeaders[1], event.aggregate_type});
    headers_.push_back({kOwnHeaders[2], event.event_id});
    headers_.push_back({kOwnHeaders[3], event.content_type});
    if (!event.extra_headers.empty()) append_extra(event);
    return headers_;
}

void RecordHeaders::append_extra(const WireEvent& event) {
    const auto json = domain::parse_json(event.extra_headers);
    // The table's CHECK says that it is an object. What PostgreSQL takes for JSON and is no text in
    // UTF-8 (half a surrogate pair), no header can hold.
    if (!json || !json->is(domain::JsonKind::object)) {
        log::warn(
            "relay",
            "the headers of an event cannot be read; it goes without them",
            {{"event_id", event.event_id}, {"error", json ? "no object" : json.error().origin()}}
        );
        return;
    }
    texts_.clear();
    texts_.reserve(2 * json->object().size());
    for (const auto& [name, value] : json->object()) {
        if (std::ranges::find(kOwnHeaders, name) != kOwnHeaders.end()) continue;
        texts_.push_back(name);
        texts_.push_back(header_text(value));
        headers_.push_back({texts_[texts_.size() - 2], texts_.back()});
    }
}

}  // namespace txstream::relay
