#pragma once

#include "telemetry/registry.hpp"

namespace txstream::otlp {

/// What became of the spans of traces. Thread-safe.
struct Metrics {
    explicit Metrics(telemetry::Registry& registry);

    telemetry::Family<telemetry::Counter> spans;  ///< by outcome
};

}  // namespace txstream::otlp
