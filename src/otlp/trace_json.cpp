#include "otlp/trace_json.hpp"

#include "base/version.hpp"
#include "domain/json_value.hpp"
#include "domain/json_writer.hpp"
#include "telemetry/semconv.hpp"

#include <charconv>
#include <variant>

namespace txstream::otlp {

namespace {

using domain::JsonWriter;
using telemetry::Span;

constexpr int kStatusError = 2;

void append_value(JsonWriter& out, const std::string& text) {
    out.begin_object().key("stringValue").string(text).end_object();
}

void append_value(JsonWriter& out, const std::variant<std::string, std::int64_t>& value) {
    if (const auto* const text = std::get_if<std::string>(&value)) return append_value(out, *text);
    const auto number = std::to_string(std::get<std::int64_t>(value));
    out.begin_object().key("intValue").string(number).end_object();
}

template <class Attributes>
void append_attributes(JsonWriter& out, const Attributes& attributes) {
    out.key("attributes").begin_array();
    for (const auto& [name, value] : attributes) {
        out.begin_object().key("key").string(name).key("value");
        append_value(out, value);
        out.end_object();
    }
    out.end_array();
}

// Also of the flags all that W3C defines, the lowest eight bits.
void append_context(JsonWriter& out, const telemetry::Trace& trace) {
    out.key("traceId").string(telemetry::to_string(trace.context.trace_id));
    out.key("spanId").string(telemetry::to_string(trace.context.span_id));
    if (!trace.state.empty()) out.key("traceState").string(trace.state);
    out.key("flags").integer(trace.context.flags);
}

// Integers of 64 bits are strings in protobuf's JSON.
void append_time(
    JsonWriter& out, std::string_view name, std::chrono::sys_time<std::chrono::nanoseconds> time
) {
    out.key(name).string(std::to_string(time.time_since_epoch().count()));
}

void append_span(JsonWriter& out, const Span& span) {
    out.begin_object();
    append_context(out, span.trace);
    if (span.parent != telemetry::SpanId())
        out.key("parentSpanId").string(telemetry::to_string(span.parent));
    out.key("name").string(span.name);
    out.key("kind").integer(static_cast<std::int64_t>(span.kind));
    append_time(out, "startTimeUnixNano", span.begun);
    append_time(out, "endTimeUnixNano", span.ended);
    append_attributes(out, span.attributes);
    if (!span.links.empty()) {
        out.key("links").begin_array();
        for (const auto& link : span.links) {
            out.begin_object();
            append_context(out, link);
            out.end_object();
        }
        out.end_array();
    }
    if (span.links_dropped > 0) out.key("droppedLinksCount").integer(span.links_dropped);
    if (span.is_error)
        out.key("status").begin_object().key("code").integer(kStatusError).end_object();
    out.end_object();
}

}  // namespace

std::string trace_request(const Pairs& resource, std::span<const Span> spans) {
    std::string json;
    JsonWriter out(json);
    out.begin_object().key("resourceSpans").begin_array().begin_object();
    out.key("resource").begin_object();
    append_attributes(out, resource);
    out.end_object();
    out.key("scopeSpans").begin_array().begin_object();
    out.key("scope").begin_object().key("name").string("txstream");
    out.key("version").string(version()).end_object();
    out.key("spans").begin_array();
    for (const auto& span : spans) append_span(out, span);
    out.end_array();
    out.key("schemaUrl").string(telemetry::semconv::kSchemaUrl);
    out.end_object().end_array();
    out.key("schemaUrl").string(telemetry::semconv::kSchemaUrl);
    out.end_object().end_array().end_object();
    return json;
}

PartialSuccess partial_success(std::string_view answer) {
    PartialSuccess found;
    const auto json = domain::parse_json(answer);
    if (!json || !json->is(domain::JsonKind::object)) return found;
    const auto* const partial = json->find("partialSuccess");
    if (partial == nullptr || !partial->is(domain::JsonKind::object)) return found;
    if (const auto* const rejected = partial->find("rejectedSpans")) {
        std::string_view digits;
        if (rejected->is(domain::JsonKind::string)) digits = rejected->string();
        if (rejected->is(domain::JsonKind::number)) digits = rejected->number_text();
        std::from_chars(digits.data(), digits.data() + digits.size(), found.rejected_spans);
    }
    if (const auto* const message = partial->find("errorMessage");
        message != nullptr && message->is(domain::JsonKind::string))
        found.message = message->string();
    return found;
}

}  // namespace txstream::otlp
