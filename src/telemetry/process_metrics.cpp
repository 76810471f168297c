#include "telemetry/process_metrics.hpp"

#include "base/version.hpp"
#include "telemetry/log.hpp"

#include <vector>

namespace txstream::telemetry {

namespace {

Label level() {
    Label label{"level"};
    for (std::size_t i = 0; i < log::kLevels; ++i)
        label.known.push_back(log::to_string(static_cast<log::Level>(i)));
    return label;
}

}  // namespace

ProcessMetrics::ProcessMetrics(Registry& registry)
    : build_info(registry.gauges(
          {"txstream_build_info",
           "Always 1; what is running stands in the labels.",
           Reporter::every_process,
           "Shows which versions run side by side during a deployment.",
           "count by (version, revision) (txstream_build_info)"},
          {{"version"}, {"revision"}, {"compiler"}}
      )),
      log_messages(registry.counters(
          {"txstream_log_messages_total",
           "Log lines written.",
           Reporter::every_process,
           "Errors that rise with no alert firing deserve a look at the log.",
           R"(sum by (instance) (rate(txstream_log_messages_total{level="error"}[5m])))"},
          {level()}
      )),
      log_repeats(registry.counters(
          {"txstream_log_repeats_total",
           "Log lines that were only counted, since others of their kind had just been written.",
           Reporter::every_process,
           "The line that stands for them carries their number as `repeats`.",
           "sum by (level) (rate(txstream_log_repeats_total[5m]))"},
          {level()}
      )),
      log_lines_lost(registry.counter(
          {"txstream_log_lines_lost_total",
           "Log lines that the output did not take: disk full, pipe closed or not read.",
           Reporter::every_process,
           "Above 0: look at the disk of LOGGING_OUTPUT_PATH, or at what reads the pipe.",
           "increase(txstream_log_lines_lost_total[15m]) > 0"}
      )) {
    build_info.at({version(), revision(), compiler()}).set(1);
    // The log counts on its own: it must work before there are metrics and after.
    registry.before_expose([*this] {
        for (std::size_t i = 0; i < log::kLevels; ++i) {
            const auto level = static_cast<log::Level>(i);
            const auto name = log::to_string(level);
            log_messages.at({name}).catch_up(static_cast<double>(log::count(level)));
            log_repeats.at({name}).catch_up(static_cast<double>(log::repeat_count(level)));
        }
        log_lines_lost.catch_up(static_cast<double>(log::lost_count()));
    });
}

}  // namespace txstream::telemetry
