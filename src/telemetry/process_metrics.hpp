#pragma once

#include "telemetry/registry.hpp"

namespace txstream::telemetry {

/// What each process tells of itself: which build it is, and its log. What it uses of the machine
/// (process_*) is on each page anyway.
struct ProcessMetrics {
    explicit ProcessMetrics(Registry& registry);

    Family<Gauge> build_info;
    Family<Counter> log_messages;
    Family<Counter> log_repeats;
    Counter log_lines_lost;
};

}  // namespace txstream::telemetry
