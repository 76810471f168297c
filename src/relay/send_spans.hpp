#pragma once

#include "outbox/record_headers.hpp"
#include "outbox/wire_event.hpp"
#include "telemetry/tracer.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace txstream::relay {

/// Who traces, and what all spans of a relay say. Without a tracer nothing is traced.
struct SendTracing {
    const telemetry::Tracer* tracer = nullptr;
    std::string client_id;         ///< Kafka's client.id
    std::string server_address{};  ///< of the broker, where one alone is configured
    std::int64_t server_port = 0;
};

/// The traces of the events of one page that were sampled, for its span to link to.
class PageLinks {
public:
    /// For each event that was handed over; its cost is that of a look at the sampled flag.
    void note(const outbox::RecordHeaders& headers);

private:
    friend class SendSpans;
    telemetry::Span gathered_;  // its links
};

/// One span for each page that went to Kafka, never one for each event: those cost a third of what
/// an event does. Belongs to the worker's thread.
class SendSpans {
public:
    explicit SendSpans(SendTracing tracing);

    bool is_on() const noexcept { return tracing_.tracer != nullptr; }

    struct Page {
        std::span<const outbox::WireEvent> events;  ///< that were handed over
        std::size_t count;  ///< of them, those that Kafka has, or was given in vain
        std::int64_t lane;
        std::optional<std::int32_t> partition{};  ///< where all are in one
        std::int64_t offset = 0;                  ///< of one that is alone
        std::chrono::nanoseconds duration{};
        std::string_view error{};  ///< Kafka's name of it; empty: none
    };
    void record(const Page& page, PageLinks& links);

private:
    SendTracing tracing_;
    telemetry::TraceIds ids_ = telemetry::TraceIds::random();
};

}  // namespace txstream::relay
