#pragma once

#include "telemetry/registry.hpp"

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

namespace txstream::telemetry::detail {

/// The page. A bound of buckets that is a whole number is le="5" in the text format and le="5.0" in
/// OpenMetrics, as its specification wants: who selects by it must allow both.
std::string write(const std::vector<prometheus::MetricFamily>& families, Exposition form);

}  // namespace txstream::telemetry::detail
