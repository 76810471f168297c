#include "app/suggest.hpp"
#include "base/version.hpp"
#include "cli/commands.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <string>
#include <vector>

namespace txstream::cli {

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  txstream dev                     everything in one process, nothing to install but "
    "PostgreSQL\n"
    "  txstream migrate up              make or update the tables\n"
    "  txstream serve                   orders API and relay; `api` and `relay` run them apart\n"
    "\nAll settings come from the environment and .env: txstream config print";

int refuse_command(const CLI::App& line, const std::string& typed) {
    std::vector<std::string> known;
    for (const auto* command : line.get_subcommands({})) known.push_back(command->get_name());
    const auto near = app::suggest(typed, known);
    fmt::print(
        stderr,
        "txstream: there is no command {}; {}\n",
        typed,
        near ? fmt::format("did you mean {}?", *near)
             : fmt::format("the commands are {}", fmt::join(known, ", "))
    );
    return kUsage;
}

int run_line(int argc, char** argv) {
    CLI::App line(
        "TxStream delivers events from PostgreSQL to Kafka through a transactional outbox.",
        "txstream"
    );
    Globals globals;
    Run run;
    // Before there are subcommands: each takes it over when it is added.
    line.fallthrough();
    line.footer(kExamples);
    line.require_subcommand(0, 1);
    line.add_option("--env-file", globals.env_file, "Read this file instead of .env");
    line.set_version_flag(
        "--version", std::string(version()) + " (" + std::string(revision()) + ")"
    );
    add_serve(line, globals, run);
    add_dev(line, globals, run);
    add_migrate(line, globals, run);
    add_config(line, globals, run);
    line.add_subcommand("version", "Print version, revision and compiler")->callback([&run] {
        run = [] {
            fmt::print("txstream {} ({}, {})\n", version(), revision(), compiler());
            return static_cast<int>(kOk);
        };
    });
    try {
        line.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        // CLI11 speaks in exceptions; they end here. Help and version are "errors" of code 0.
        if (line.get_subcommands().empty() && !line.remaining().empty() &&
            !line.remaining().front().starts_with('-'))
            return refuse_command(line, line.remaining().front());
        return line.exit(error) == 0 ? kOk : kUsage;
    }
    if (!run) {
        fmt::print("{}", line.help());
        return kOk;
    }
    return run();
}

}  // namespace

}  // namespace txstream::cli

int main(int argc, char** argv) {
    try {
        return txstream::cli::run_line(argc, argv);
    } catch (const std::exception& error) {
        fmt::print(stderr, "txstream: {}\n", error.what());
        return txstream::cli::kFailed;
    }
}
