#include "outbox/record_format.hpp"

#include "base/assert.hpp"
#include "base/text.hpp"
#include "domain/json_members.hpp"
#include "domain/json_value.hpp"
#include "domain/timestamp.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace txstream::outbox {

namespace {

constexpr std::string_view kJson = "application/json";

constexpr std::string_view kNull = "null";  // how some client libraries say "none"

// The envelope's member names and punctuation; twice the event id and a time with microseconds.
constexpr std::size_t kEnvelopeBytes = 320;
// "\u00XX" for one byte.
constexpr std::size_t kEscapedMax = 6;

// Names that only we write: consumers trust them.
constexpr std::array<std::string_view, 5> kOwnHeaders{
    "event_type", "aggregate_type", "event_id", "content-type", "created_at"
};
constexpr std::string_view kTraceparent = "traceparent";
constexpr std::string_view kReservedPrefix = "txstream-";
// A JSON array of names, as the writer wrote them.
constexpr std::string_view kMissingHeaders = "txstream-missing-headers";
constexpr std::string_view kAttempt = "txstream-attempt";
constexpr std::string_view kReplayed = "txstream-replayed";
constexpr std::string_view kDelayReason = "txstream-delay-reason";

// Beyond it the writer's clock is no measure of anything.
constexpr std::chrono::minutes kClockAheadMax{1};
constexpr std::chrono::days kAgeMax{30};

// Of an event in an arena.
std::size_t bytes_max(const Event& event) {
    return kEnvelopeBytes + event.payload.size() + event.metadata.size() + event.headers.size() +
           event.key.size() + event.topic.size() + event.content_type.size() +
           (1 + kEscapedMax) *
               (event.aggregate_id.size() + event.aggregate_type.size() + event.event_type.size());
}

// Where a text stands in the envelope, unless it had to be escaped.
struct EnvelopeTexts {
    std::string_view event_id;
    std::string_view aggregate_id;
    std::string_view aggregate_type;
    std::string_view event_type;
    std::string_view created_at;
};

std::string_view append_plain(std::string& out, std::string_view text) {
    const auto at = out.size();
    out += text;
    return std::string_view(out).substr(at);
}

std::string_view append_member(std::string& out, std::string_view name, std::string_view text) {
    out += name;
    const auto at = out.size();
    append_json_string(out, text);
    return std::string_view(out).substr(at + 1, text.size());
}

// The texts are good as long as `out` does not move.
EnvelopeTexts append_envelope(const Event& event, std::string_view created_at, std::string& out) {
    EnvelopeTexts texts;
    out += R"({"event_id":")";
    texts.event_id = append_plain(out, event.event_id);
    texts.aggregate_id = append_member(out, R"(","aggregate_id":)", event.aggregate_id);
    texts.aggregate_type = append_member(out, R"(,"aggregate_type":)", event.aggregate_type);
    texts.event_type = append_member(out, R"(,"event_type":)", event.event_type);
    out += R"(,"event_data":)";
    out += event.payload;
    if (!created_at.empty()) {
        out += R"(,"created_at":")";
        texts.created_at = append_plain(out, created_at);
        out += '"';
    }
    if (!event.metadata.empty() && event.metadata != kNull) {
        out += R"(,"event_metadata":)";
        out += event.metadata;
    }
    out += '}';
    return texts;
}

// A record's texts, all in the arena.
WireEvent wire_event(
    const Event& event,
    std::string_view created_at,
    std::string_view default_topic,
    std::string& arena
) {
    WireEvent record;
    record.id = event.id;
    record.created_at = event.created_at;
    if (!event.has_content) record.oversize = event.size;
    EnvelopeTexts texts;
    if (event.payload_is_json && !event.payload_is_null) {
        const auto value_at = arena.size();
        texts = append_envelope(event, created_at, arena);
        record.value = std::string_view(arena).substr(value_at);
        record.content_type = kJson;
    } else {
        record.value = append_plain(arena, event.payload);
        record.is_tombstone = event.payload_is_null;
        record.content_type = append_plain(arena, event.content_type);
    }
    const auto kept = [&](std::string_view place, std::string_view text) {
        return place == text ? place : append_plain(arena, text);
    };
    record.event_id = kept(texts.event_id, event.event_id);
    record.event_type = kept(texts.event_type, event.event_type);
    record.aggregate_type = kept(texts.aggregate_type, event.aggregate_type);
    record.created_at_text = kept(texts.created_at, created_at);
    const bool is_own_key = event.key.data() != event.aggregate_id.data();
    record.key = kept(is_own_key ? std::string_view() : texts.aggregate_id, event.key);
    record.topic = event.topic.empty() ? default_topic : append_plain(arena, event.topic);
    if (event.headers != kNull) record.extra_headers = append_plain(arena, event.headers);
    return record;
}

// Nothing when no text in UTF-8 can be what the token says (half a surrogate pair).
std::optional<std::string> text_of(std::string_view string_token) {
    auto text = domain::parse_json(string_token);
    if (!text || !text->is(domain::JsonKind::string)) return std::nullopt;
    return text->string();
}

bool is_reserved(std::string_view name) {
    return name.starts_with(kReservedPrefix) ||
           std::ranges::find(kOwnHeaders, name) != kOwnHeaders.end();
}

}  // namespace

void append_record_value(const Event& event, std::string& out) {
    if (!event.payload_is_json || event.payload_is_null) {
        out += event.payload;
        return;
    }
    std::string created_at;
    if (domain::has_rfc3339(event.created_at)) domain::append_rfc3339(created_at, event.created_at);
    append_envelope(event, created_at, out);
}

std::size_t WireEvent::bytes() const noexcept {
    return key.size() + value.size() + event_id.size() + event_type.size() + aggregate_type.size() +
           content_type.size() + created_at_text.size() + extra_headers.size();
}

std::optional<std::chrono::microseconds> plausible_age(
    std::chrono::sys_time<std::chrono::microseconds> created_at,
    std::chrono::sys_time<std::chrono::microseconds> now
) noexcept {
    if (created_at > now + kClockAheadMax || created_at < now - kAgeMax) return std::nullopt;
    return std::max(now - created_at, std::chrono::microseconds(0));
}

void append_wire_events(
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
    for (const auto i : which) bytes += bytes_max(decoded.emplace_back(events.at(i)));
    arena.reserve(bytes);
    wire.reserve(wire.size() + which.size());
    const char* const memory = arena.data();
    std::string created_at;
    for (const auto& event : decoded) {
        created_at.clear();
        if (domain::has_rfc3339(event.created_at))
            domain::append_rfc3339(created_at, event.created_at);
        wire.push_back(wire_event(event, created_at, default_topic, arena));
    }
    TXS_ASSERT(arena.data() == memory, "the arena moved under its views");
}

std::optional<telemetry::TraceContext> trace_of(const WireEvent& event) {
    domain::JsonMembers members(event.extra_headers);
    while (members.next()) {
        if (text_of(members.name()) != kTraceparent) continue;
        const auto text = text_of(members.value());
        return text ? telemetry::parse_traceparent(*text) : std::nullopt;
    }
    return std::nullopt;
}

std::span<const Header> RecordHeaders::of(const WireEvent& event) {
    headers_.clear();
    missing_.clear();
    traceparent_ = {};
    headers_.push_back({kOwnHeaders[0], event.event_type});
    headers_.push_back({kOwnHeaders[1], event.aggregate_type});
    headers_.push_back({kOwnHeaders[2], event.event_id});
    headers_.push_back({kOwnHeaders[3], event.content_type});
    if (!event.created_at_text.empty()) headers_.push_back({kOwnHeaders[4], event.created_at_text});
    if (!event.extra_headers.empty()) append_extra(event);
    return headers_;
}

std::span<const Header> RecordHeaders::marks(unsigned attempt, std::string_view reason) {
    attempt_ = std::to_string(attempt);
    marks_ = {{{kAttempt, attempt_}, {kDelayReason, reason}}};
    return marks_;
}

std::span<const Header> RecordHeaders::replayed() noexcept {
    static constexpr std::array<Header, 1> kMarks{{{kReplayed, "true"}}};
    return kMarks;
}

// A token without an escape is its text already, since the server has judged it: an allocation and
// a parser for each would cost more than all else of the record.
std::optional<std::string_view> RecordHeaders::kept(std::string_view string_token) {
    constexpr std::string_view kQuotes = "\"\"";
    if (string_token.size() >= kQuotes.size() && string_token.find('\\') == std::string_view::npos)
        return string_token.substr(1, string_token.size() - kQuotes.size());
    auto text = text_of(string_token);
    if (!text) return std::nullopt;
    return texts_.emplace_back(std::move(*text));
}

std::string_view RecordHeaders::value_of(std::string_view name) const noexcept {
    const auto found = std::ranges::find(headers_, name, &Header::name);
    return found == headers_.end() ? std::string_view() : found->value;
}

// What cannot be sent is named on the record: a consumer that needs it must be able to see that it
// is missing. The table's CHECK refuses most of it when it is written.
void RecordHeaders::append_extra(const WireEvent& event) {
    texts_.clear();
    domain::JsonMembers members(event.extra_headers);
    const auto leave_out = [&](std::string_view name_token) {
        missing_ += missing_.empty() ? '[' : ',';
        missing_ += name_token;
    };
    while (members.next()) {
        const auto name = kept(members.name());
        if (!name || is_reserved(*name)) {
            leave_out(members.name());
            continue;
        }
        const bool is_text = members.value().starts_with('"');
        const auto value = is_text ? kept(members.value()) : members.value();
        if (!value) {
            leave_out(members.name());
            continue;
        }
        headers_.push_back({*name, *value});
        if (*name == kTraceparent && traceparent_.empty()) traceparent_ = *value;
    }
    if (!members.is_whole()) leave_out("null");  // no object: how many are missing is unknown
    if (missing_.empty()) return;
    missing_ += ']';
    headers_.push_back({kMissingHeaders, missing_});
}

}  // namespace txstream::outbox
