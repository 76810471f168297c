#pragma once

#include "app/service.hpp"
#include "config/config.hpp"

#include <cstddef>

namespace txstream::app {

/// Divides the descriptors of the process, so that clients of the API cannot exhaust those that the
/// metrics port, PostgreSQL, and Kafka need.
struct DescriptorPlan {
    std::size_t reserved = 0;         ///< for everything but connections of the API
    std::size_t api_connections = 0;  ///< SERVER_CONNECTIONS_MAX, or what is left
};

/// Connections of the metrics port: Prometheus, probes, a person.
constexpr std::size_t kMetricsConnectionsMax = 64;
/// Connections of the console's port: a browser opens up to six for its tabs.
constexpr std::size_t kConsoleConnectionsMax = 64;
/// And of those that are being told that there are too many.
constexpr std::size_t kConsoleRefusedMax = 8;

/// Pure. `limit` is how many descriptors the process may have.
DescriptorPlan plan_descriptors(std::size_t limit, const Config& config, const Roles& roles);

/// Raises the soft limit to the hard one, which needs no privilege; returns the limit in force.
std::size_t raise_descriptor_limit();

}  // namespace txstream::app
