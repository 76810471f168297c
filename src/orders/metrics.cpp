#include "orders/metrics.hpp"

#include <array>

namespace txstream::orders {

namespace {

constexpr std::array<double, 8> kBatchBuckets{1, 2, 4, 8, 16, 32, 64, 128};
constexpr double kCentsPerUnit = 100;

}  // namespace

using enum telemetry::Reporter;

Metrics::Metrics(telemetry::Registry& registry)
    : orders_created(registry.counters(
          {"txstream_orders_created_total",
           "Orders that were committed.",
           api,
           "Nothing for longer than is usual: look at the clients, then at 5xx.",
           "sum by (currency) (rate(txstream_orders_created_total[5m])) * 60"},
          {{"currency", {domain::kCurrencyDefault}}}
      )),
      order_value(registry.counters(
          {"txstream_order_value_total",
           "The sum of the orders' total_amount, in units of the currency. A figure for graphs: "
           "the exact amounts are in the table.",
           api,
           "",
           "sum by (currency) (rate(txstream_order_value_total[5m])) * 60"},
          {{"currency", {domain::kCurrencyDefault}}}
      )),
      batch_size(registry.histogram(
          {"txstream_order_batch_size",
           "Orders that were written together in one statement.",
           api,
           "Grows with the load: one fsync serves many. At 128 the database limits.",
           "histogram_quantile(0.5, sum by (le) (rate(txstream_order_batch_size_bucket[5m])))"},
          kBatchBuckets
      )),
      waiting(registry.gauge(
          {"txstream_orders_waiting",
           "Orders that were accepted and have no answer yet: they wait for a session, for a "
           "batch, or for the database.",
           api,
           "At 4,096 further ones are refused with 503.",
           "max by (instance) (txstream_orders_waiting)"}
      )) {
}

void Metrics::created(const domain::Order& order) const {
    orders_created.at({order.currency}).add();
    order_value.at({order.currency})
        .add(static_cast<double>(order.total_amount.cents()) / kCentsPerUnit);
}

}  // namespace txstream::orders
