#include "app/service.hpp"
#include "cli/commands.hpp"
#include "cli/dev_stack.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>

namespace txstream::cli {

namespace {

int dev(const Globals& globals, const DevOptions& options) {
    const auto loaded = load_config(globals);
    if (!loaded) return kUsage;
    const auto done = run_dev(loaded->config, options);
    return done ? static_cast<int>(kOk) : report(done.error());
}

}  // namespace

void add_dev(CLI::App& line, const Globals& globals, Run& run) {
    auto* command = line.add_subcommand(
        "dev", "Everything in one process: private PostgreSQL, development broker, API, relay"
    );
    const auto options = std::make_shared<DevOptions>();
    command->add_option(
        "--data",
        options->data,
        "Keep PostgreSQL's data in this directory (else it is removed at the end)"
    );
    command->add_option("--orders", options->orders, "How many sample orders to post")
        ->check(CLI::Range(0, 100'000));
    command->callback([&globals, &run, options] {
        run = [&globals, options] { return dev(globals, *options); };
    });
}

}  // namespace txstream::cli
