#include "otlp/metrics.hpp"

namespace txstream::otlp {

Metrics::Metrics(telemetry::Registry& registry)
    : spans(registry.counters(
          {"txstream_spans_total",
           "Spans of traces, by what became of them: sent to the collector, or dropped because it "
           "was away, too slow, or refused them. Orders and events are not affected.",
           telemetry::Reporter::every_process,
           "Many are dropped: look at the collector, then at the log (component traces); raise "
           "OTEL_BSP_MAX_QUEUE_SIZE, or sample less.",
           "sum by (outcome) (rate(txstream_spans_total[5m]))"},
          {{"outcome", {"sent", "dropped"}}}
      )) {
}

}  // namespace txstream::otlp
