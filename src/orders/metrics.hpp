#pragma once

#include "domain/order.hpp"
#include "telemetry/registry.hpp"

namespace txstream::orders {

/// What the orders API counts. Thread-safe.
struct Metrics {
    explicit Metrics(telemetry::Registry& registry);

    /// Its transaction has committed.
    void created(const domain::Order& order) const;

    telemetry::Family<telemetry::Counter> orders_created;
    telemetry::Family<telemetry::Counter> order_value;
    telemetry::Histogram batch_size;  ///< orders that go to the database in one statement
    telemetry::Gauge waiting;
};

}  // namespace txstream::orders
