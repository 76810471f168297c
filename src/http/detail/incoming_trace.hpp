#pragma once

#include "http/request.hpp"

#include <optional>

namespace txstream::http::detail {

/// What the client says of the trace that its request belongs to: `traceparent`, if there is one
/// that is valid, and `tracestate`. Nothing else is believed of a client that sends one of them
/// malformed, and no request is refused for it.
std::optional<telemetry::Trace> incoming_trace(const Headers& headers);

}  // namespace txstream::http::detail
