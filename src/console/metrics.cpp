#include "console/metrics.hpp"

namespace txstream::console {

using enum telemetry::Reporter;

Metrics::Metrics(telemetry::Registry& registry)
    : tails_(registry.gauge(
          {"txstream_console_tails",
           "Live tails that are open in this console.",
           every_process,
           "20 is the limit; each topic with a tail has one reader of Kafka.",
           "max by (instance) (txstream_console_tails)"}
      )),
      sent_(registry.counter(
          {"txstream_console_tail_records_sent_total",
           "Records that live tails have shown, counted for each tail.",
           every_process,
           "",
           "sum by (instance) (rate(txstream_console_tail_records_sent_total[5m]))"}
      )),
      skipped_(registry.counter(
          {"txstream_console_tail_records_skipped_total",
           "Records that live tails have left out and named by a gap, counted for each tail.",
           every_process,
           "A browser, or its network, was slower than the topic: narrow the tail with a filter.",
           "increase(txstream_console_tail_records_skipped_total[15m])"}
      )),
      searches_(registry.counter(
          {"txstream_console_searches_total",
           "Pages of records that were searched for in Kafka, exports too.",
           every_process,
           "",
           "sum by (instance) (rate(txstream_console_searches_total[5m]))"}
      )),
      searched_(registry.counter(
          {"txstream_console_searched_offsets_total",
           "Offsets that searches in Kafka have looked at.",
           every_process,
           "What the console costs the brokers; a page looks at 200,000 at most.",
           "sum by (instance) (rate(txstream_console_searched_offsets_total[5m]))"}
      )) {
}

}  // namespace txstream::console
