#pragma once

#include "http/server.hpp"
#include "telemetry/tracer.hpp"

namespace txstream::app {

/// The span of a request that has just been answered; its trace is sampled.
telemetry::Span request_span(const http::RequestLog& request);

}  // namespace txstream::app
