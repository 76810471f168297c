#pragma once

#include "app/service.hpp"
#include "console/metrics.hpp"
#include "http/metrics.hpp"
#include "orders/metrics.hpp"
#include "otlp/metrics.hpp"
#include "outbox/metrics.hpp"
#include "pg/metrics.hpp"
#include "relay/metrics.hpp"
#include "telemetry/process_metrics.hpp"
#include "telemetry/registry.hpp"

#include <optional>
#include <string>

namespace txstream::app {

/// What a process with these roles counts.
struct Metrics {
    explicit Metrics(Roles roles);

    struct Api {
        explicit Api(telemetry::Registry& registry) : orders(registry), pool(registry) {}
        orders::Metrics orders;
        pg::PoolMetrics pool;
    };
    struct Relay {
        explicit Relay(telemetry::Registry& registry) : relay(registry), outbox(registry) {}
        relay::Metrics relay;
        outbox::Metrics outbox;
    };

    telemetry::Registry registry;
    telemetry::ProcessMetrics process{registry};
    http::Metrics http{registry};
    console::Metrics console{registry};
    pg::Metrics statements{registry};
    otlp::Metrics traces{registry};
    std::optional<Api> api;
    std::optional<Relay> relay;
    /// Of an API without a relay in its process: whether lanes have no owner.
    std::optional<telemetry::Gauge> lanes_unowned;
};

/// docs/metrics.md: everything that is declared, process_* too.
std::string render_metrics_docs();

}  // namespace txstream::app
