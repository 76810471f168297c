#include "base/text.hpp"
#include "outbox/detail/wire_text.hpp"
#include "outbox/record_headers.hpp"
#include "outbox/wire_format.hpp"

#include <algorithm>
#include <array>

namespace txstream::outbox {

namespace {

constexpr std::string_view kJson = "application/json";

// The envelope's member names and punctuation, the event id and a time with microseconds.
constexpr std::size_t kEnvelopeBytes = 240;
// "\u00XX" for one byte.
constexpr std::size_t kEscapedMax = 6;

constexpr std::array<std::string_view, 5> kHeaders{
    "event_type", "aggregate_type", "event_id", "content-type", "created_at"
};

std::string_view append_member(std::string& out, std::string_view name, std::string_view text) {
    out += name;
    const auto at = out.size();
    append_json_string(out, text);
    return std::string_view(out).substr(at + 1, text.size());
}

WireFormat::Value append_envelope(
    const Event& event, std::string_view created_at, std::string& out
) {
    WireFormat::Value value{.content_type = kJson};
    out += R"({"event_id":")";
    value.event_id = append_plain(out, event.event_id);
    value.aggregate_id = append_member(out, R"(","aggregate_id":)", event.aggregate_id);
    value.aggregate_type = append_member(out, R"(,"aggregate_type":)", event.aggregate_type);
    value.event_type = append_member(out, R"(,"event_type":)", event.event_type);
    out += R"(,"event_data":)";
    out += event.payload;
    if (!created_at.empty()) {
        out += R"(,"created_at":")";
        value.created_at = append_plain(out, created_at);
        out += '"';
    }
    if (!event.metadata.empty() && event.metadata != kNull) {
        out += R"(,"event_metadata":)";
        out += event.metadata;
    }
    out += '}';
    return value;
}

class TxstreamFormat final : public WireFormat {
public:
    std::size_t value_bytes_max(const Event& event) const noexcept override {
        const auto names =
            event.aggregate_id.size() + event.aggregate_type.size() + event.event_type.size();
        return kEnvelopeBytes + event.payload.size() + event.metadata.size() + kEscapedMax * names;
    }

    Value append_value(const Event& event, std::string_view created_at, std::string& out)
        const override {
        if (event.payload_is_json && !event.payload_is_null)
            return append_envelope(event, created_at, out);
        out += event.payload;
        return {.is_tombstone = event.payload_is_null, .content_type = {}};
    }

    void add_headers(const WireEvent& event, RecordHeaders& headers) const override {
        headers.add(kHeaders[0], event.identity.event_type);
        headers.add(kHeaders[1], event.identity.aggregate_type);
        headers.add(kHeaders[2], event.identity.event_id);
        headers.add(kHeaders[3], event.content_type);
        if (!event.created_at_text.empty()) headers.add(kHeaders[4], event.created_at_text);
    }

    bool owns(std::string_view header_name) const noexcept override {
        return std::ranges::find(kHeaders, header_name) != kHeaders.end();
    }
};

}  // namespace

const WireFormat& txstream_format() noexcept {
    static const TxstreamFormat format;
    return format;
}

}  // namespace txstream::outbox
