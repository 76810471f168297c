#include "pg/metrics.hpp"

#include <array>

namespace txstream::pg {

namespace {

/// Fewer than for requests: there is a histogram for each statement.
constexpr std::array<double, 9> kStatementBuckets{
    0.0005, 0.001, 0.0025, 0.005, 0.025, 0.1, 0.5, 2.5, 10
};

}  // namespace

using enum telemetry::Reporter;

Metrics::Metrics(telemetry::Registry& registry)
    : duration_(registry.histograms(
          {"txstream_db_query_duration_seconds",
           "From sending a statement to PostgreSQL to its last row; of a page that was asked for "
           "ahead (txs_page) the wait for the rest. Failed ones too.",
           every_process,
           "Look up what is slow in pg_stat_activity and with auto_explain.",
           "histogram_quantile(0.99, sum by (le, query) "
           "(rate(txstream_db_query_duration_seconds_bucket[5m])))"},
          kStatementBuckets,
          {{"query"}}
      )),
      errors_(registry.counters(
          {"txstream_db_query_errors_total",
           "Statements that failed, by name.",
           every_process,
           "The log has the error with its SQLSTATE.",
           "sum by (query) (increase(txstream_db_query_errors_total[15m])) > 0"},
          {{"query"}}
      )) {
}

StatementObserver Metrics::observer() const {
    return [*this](std::string_view name, std::chrono::nanoseconds took, bool is_ok) {
        duration_.at({name}).observe(std::chrono::duration<double>(took).count());
        // From the first success on, so that a rate can be seen from the first failure on.
        errors_.at({name}).add(is_ok ? 0 : 1);
    };
}

PoolMetrics::PoolMetrics(telemetry::Registry& registry)
    : connections_(registry.gauges(
          {"txstream_db_pool_connections",
           "PostgreSQL sessions of the orders API by state; waiting counts callers without one.",
           api,
           "waiting above 0 for long: PostgreSQL is slow, or DATABASE_MAX_OPEN_CONNS is too low.",
           "max by (instance, state) (txstream_db_pool_connections)"},
          {{"state", {"idle", "in_use", "connecting", "waiting"}}}
      )) {
}

void PoolMetrics::show(const Pool::Stats& stats) const {
    const auto set = [this](std::string_view state, std::size_t count) {
        connections_.at({state}).set(static_cast<double>(count));
    };
    set("idle", stats.open - stats.in_use);
    set("in_use", stats.in_use);
    set("connecting", stats.connecting);
    set("waiting", stats.waiting);
}

}  // namespace txstream::pg
