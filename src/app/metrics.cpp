#include "app/metrics.hpp"

#include "relay/blockages.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>
#include <vector>

namespace txstream::app {

namespace {

using telemetry::Registry;
using telemetry::Reporter;

constexpr const char* kIntroduction = R"(# Metrics

<!-- Written by `txstream metrics docs`; a test compares it. -->

Everything that a process shows at `/metrics`: `METRICS_PATH` on `METRICS_PORT` for one with a relay (`txstream serve`,
`txstream relay`), `/metrics` on `SERVER_PORT` for an API. A process that is both has one set of figures and shows it at
both: scrape one of them. `deploy/prometheus/` has a configuration, rules and alerts; `deploy/grafana/` dashboards.

- **Formats**: Prometheus text 0.0.4, or OpenMetrics 1.0.0 where the `Accept` header prefers it, as Prometheus does.
  A bound of buckets is `le="5"` in the one and `le="5.0"` in the other (and in Prometheus 3 always): select by
  `le=~"5|5[.]0"`. There are no exemplars: prometheus-cpp, which keeps the figures, has none.
- **Series at 0**: label values that are known beforehand are there from the start, so that `rate()` and alerts see the
  first change.
- **Bounds**: the 201st value of a label is counted as `other`, and so is the 1,001st series of one metric; values are cut
  at 128 bytes. Ids, keys, texts of errors and paths of requests are never labels.
- **Who reports**: *every process*, *api* and *relay* count what they did themselves, so sums over processes are right.
  *one relay* is about the outbox as a whole: of several relays only the one that owns the first lane has these series,
  so a sum, a maximum and a plain selector agree. They go away with it, and come back with the next owner, after a lease
  (`WORKER_LEASE`) at most; no such series at all means that no relay owns the first lane.
- **After a restart** counters start at 0, as Prometheus expects.
)";

std::string_view name_of(Reporter reporter) {
    switch (reporter) {
        case Reporter::every_process:
            return "every process";
        case Reporter::api:
            return "api";
        case Reporter::relay:
            return "relay";
        case Reporter::one_relay:
            return "one relay";
    }
    return "";
}

std::string_view unit_of(std::string_view name) {
    constexpr std::string_view kTotal = "_total";
    if (name.ends_with(kTotal)) name.remove_suffix(kTotal.size());
    if (name.ends_with("_timestamp_seconds")) return "seconds of Unix time";
    if (name.ends_with("_seconds")) return "seconds";
    if (name.ends_with("_bytes")) return "bytes";
    return "";
}

void append(std::string& out, const Registry::Declared& one) {
    const auto line = std::back_inserter(out);
    fmt::format_to(line, "\n### {}\n\n{}", one.what.name, one.type);
    if (const auto unit = unit_of(one.what.name); !unit.empty()) fmt::format_to(line, ", {}", unit);
    fmt::format_to(line, " · {}", name_of(one.what.reporter));
    for (const auto& label : one.labels)
        fmt::format_to(line, "{}`{}`", &label == &one.labels.front() ? " · labels " : ", ", label);
    if (!one.bounds.empty()) fmt::format_to(line, " · buckets {}", fmt::join(one.bounds, ", "));
    fmt::format_to(line, "\n\n{}", one.what.meaning);
    if (*one.what.advice != '\0') fmt::format_to(line, "\n\n{}", one.what.advice);
    fmt::format_to(line, "\n\n```promql\n{}\n```\n", one.what.query);
}

}  // namespace

Metrics::Metrics(Roles roles) {
    if (roles.api) api.emplace(registry);
    if (roles.relay) relay.emplace(registry);
    if (roles.api && !roles.relay) {
        // The relays' metric of that name, for the one reason that an API can know of.
        const auto no_worker = relay::to_string(relay::Blockage::no_worker);
        const auto blocked = registry.gauges(
            {"txstream_delivery_blocked",
             "1 while lanes have no owner; looked at for each page.",
             Reporter::api,
             "TxStreamLanesWithoutOwner fires: start a relay.",
             "max by (reason) (txstream_delivery_blocked) == 1"},
            {{"reason", {no_worker}}}
        );
        lanes_unowned = blocked.at({no_worker});
    }
}

std::string render_metrics_docs() {
    const Metrics all({.api = true, .relay = true});
    std::string out = kIntroduction;
    constexpr std::array kSections{
        std::pair{Reporter::one_relay, "The outbox as a whole"},
        std::pair{Reporter::relay, "Relays"},
        std::pair{Reporter::api, "The orders API"},
        std::pair{Reporter::every_process, "Every process"},
    };
    for (const auto& [reporter, title] : kSections) {
        fmt::format_to(std::back_inserter(out), "\n## {}\n", title);
        std::vector<Registry::Declared> section;
        std::ranges::copy_if(
            all.registry.declared(),
            std::back_inserter(section),
            [&](const auto& one) { return one.what.reporter == reporter; }
        );
        for (const auto& one : section) append(out, one);
    }
    out +=
        "\nAnd what each Prometheus client tells of its process: `process_cpu_seconds_total`,\n"
        "`process_resident_memory_bytes`, `process_virtual_memory_bytes`, `process_threads`,\n"
        "`process_start_time_seconds`, `process_open_fds`, `process_max_fds`.\n";
    return out;
}

}  // namespace txstream::app
