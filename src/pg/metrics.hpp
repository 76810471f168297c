#pragma once

#include "pg/conn_info.hpp"
#include "pg/pool.hpp"
#include "telemetry/registry.hpp"

namespace txstream::pg {

/// What the PostgreSQL sessions of a process count, all together. Thread-safe.
class Metrics {
public:
    explicit Metrics(telemetry::Registry& registry);

    /// For ConnInfo::observed_by.
    StatementObserver observer() const;

private:
    telemetry::Family<telemetry::Histogram> duration_;
    telemetry::Family<telemetry::Counter> errors_;
};

/// The sessions of one pool, by what they do.
class PoolMetrics {
public:
    explicit PoolMetrics(telemetry::Registry& registry);
    void show(const Pool::Stats& stats) const;

private:
    telemetry::Family<telemetry::Gauge> connections_;
};

}  // namespace txstream::pg
