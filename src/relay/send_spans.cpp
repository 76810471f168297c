#include "relay/send_spans.hpp"

#include "telemetry/semconv.hpp"

#include <algorithm>
#include <utility>

namespace txstream::relay {

namespace {

namespace semconv = telemetry::semconv;

constexpr std::string_view kSend = "send";

/// Empty when there are several.
std::string_view topic_of(std::span<const outbox::WireEvent> events) {
    const auto topic = events.front().topic;
    const bool is_one = std::ranges::all_of(events, [&](const outbox::WireEvent& event) {
        return event.topic == topic;
    });
    return is_one ? topic : std::string_view();
}

}  // namespace

void PageLinks::note(const outbox::RecordHeaders& headers) {
    // The last digit of "00-<32>-<16>-01": most events are not sampled, and are not parsed.
    constexpr std::size_t kSampledAt = 54;
    const auto parent = headers.traceparent();
    constexpr std::string_view kOdd = "13579bdf";
    if (parent.size() <= kSampledAt || kOdd.find(parent[kSampledAt]) == std::string_view::npos)
        return;
    const auto context = telemetry::parse_traceparent(parent);
    if (!context || !context->is_sampled()) return;
    // What one transaction wrote has one trace.
    auto& links = gathered_.links;
    if (!links.empty() && links.back().context == *context) return;
    gathered_.link({*context, std::string(headers.value_of("tracestate"))});
}

SendSpans::SendSpans(SendTracing tracing) : tracing_(std::move(tracing)) {
}

void SendSpans::record(const Page& page, PageLinks& links) {
    auto span = std::exchange(links.gathered_, {});
    if (!is_on() || page.events.empty()) return;
    span.trace.context = tracing_.tracer->begin_linked(ids_, !span.links.empty());
    if (!span.trace.context.is_sampled()) return;
    const auto topic = topic_of(page.events);
    span.name = kSend;
    if (!topic.empty()) span.name.append(" ").append(topic);
    // The events' own contexts are those of their creation, so this is no producer's span.
    span.kind = telemetry::SpanKind::client;
    span.ended = telemetry::span_time();
    span.begun = span.ended - page.duration;
    span.set(semconv::kMessagingSystem, "kafka");
    span.set(semconv::kMessagingOperationName, kSend);
    span.set(semconv::kMessagingOperationType, kSend);
    if (!topic.empty()) span.set(semconv::kMessagingDestination, topic);
    if (page.partition) span.set(semconv::kMessagingPartition, std::to_string(*page.partition));
    span.set(semconv::kMessagingMessageCount, static_cast<std::int64_t>(page.count));
    if (page.count == 1 && page.events.size() == 1) {
        const auto& event = page.events.front();
        span.set(semconv::kMessagingMessageId, event.identity.event_id);
        span.set(semconv::kMessagingKafkaKey, event.key);
        if (page.partition) span.set(semconv::kMessagingKafkaOffset, page.offset);
    }
    span.set(semconv::kMessagingClientId, tracing_.client_id);
    if (!tracing_.server_address.empty()) {
        span.set(semconv::kServerAddress, tracing_.server_address);
        span.set(semconv::kServerPort, tracing_.server_port);
    }
    span.set(semconv::kLane, page.lane);
    if (!page.error.empty()) {
        span.set(semconv::kErrorType, page.error);
        span.is_error = true;
    }
    tracing_.tracer->record(std::move(span));
}

}  // namespace txstream::relay
