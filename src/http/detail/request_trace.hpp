#pragma once

#include "http/request.hpp"
#include "telemetry/tracer.hpp"

#include <optional>
#include <string>

namespace txstream::http::detail {

/// The trace of one request.
///
/// Of its client it believes `traceparent`, if there is one and it is valid, and `tracestate`; no
/// request is refused for a malformed one. With a tracer the request gets a span of its own below
/// the client's, or a new trace; without, it has the client's context or none.
struct RequestTrace {
    RequestTrace(const Request& request, const telemetry::Tracer* tracer, telemetry::TraceIds& ids);

    std::optional<telemetry::Trace> own;
    telemetry::SpanId parent;
    std::string path;  ///< of the target; empty when nothing will be recorded
};

}  // namespace txstream::http::detail
