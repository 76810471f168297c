#pragma once

#include "app/health.hpp"
#include "base/error.hpp"
#include "http/metrics.hpp"
#include "http/server.hpp"
#include "telemetry/tracer.hpp"

#include <string_view>

namespace txstream::app {

/// Counts each request, records its span, and logs those that failed on our side; the others are
/// logged at debug. `tracer` may be none.
http::Observer observer_of(
    const http::Metrics& metrics, const Health& health, const telemetry::Tracer* tracer
);

/// The error of a port that cannot be listened on, with the setting that changes it.
Error naming(std::string_view variable, const Error& error);

}  // namespace txstream::app
