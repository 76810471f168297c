#pragma once

#include <prometheus/metric_family.h>

#include <vector>

namespace txstream::telemetry {

/// What this process uses, under the names that every Prometheus client gives it. Values that
/// /proc does not tell are left out. Included by metrics.cpp only.
void append_process_stats(std::vector<prometheus::MetricFamily>& families);

}  // namespace txstream::telemetry
