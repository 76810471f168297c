#include "cli/usage.hpp"
#include "kafka/error_table.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

namespace txstream::cli {

void add_errors(CLI::App& line, Run& run) {
    auto* errors = line.add_subcommand("errors", "Explain Kafka's error codes");
    errors->require_subcommand(1);
    explain(
        *errors, "  txstream errors docs           each code, and what is done about it\n", {kOk}
    );
    auto* verb = errors->add_subcommand("docs", "Print the page docs/kafka-errors.md");
    explain(*verb, "  txstream errors docs | grep MSG_SIZE_TOO_LARGE\n", {kOk});
    verb->callback([&run] {
        run = [] {
            fmt::print("{}", kafka::render_error_docs());
            return static_cast<int>(kOk);
        };
    });
}

}  // namespace txstream::cli
