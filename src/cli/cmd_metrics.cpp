#include "app/metrics.hpp"
#include "cli/usage.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace txstream::cli {

void add_metrics(CLI::App& line, Run& run) {
    auto* metrics = line.add_subcommand("metrics", "Explain the metrics");
    metrics->require_subcommand(1);
    explain(
        *metrics, "  txstream metrics docs          each metric, with an example query\n", {kOk}
    );
    auto* verb = metrics->add_subcommand("docs", "Print the page docs/metrics.md");
    explain(*verb, "  txstream metrics docs | less\n", {kOk});
    verb->callback([&run] {
        run = [] {
            fmt::print("{}", app::render_metrics_docs());
            return static_cast<int>(kOk);
        };
    });
}

}  // namespace txstream::cli
