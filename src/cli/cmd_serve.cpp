#include "app/config_check.hpp"
#include "app/service.hpp"
#include "cli/commands.hpp"
#include "telemetry/log.hpp"

#include <CLI/CLI.hpp>

namespace txstream::cli {

namespace {

int serve(const Globals& globals, app::Roles roles) {
    const auto loaded = load_config(globals);
    if (!loaded) return kUsage;
    for (const auto& warning : loaded->warnings) log::warn("config", warning.message);
    if (roles.relay) {
        if (const auto problems = app::check_kafka(*loaded); !problems.empty())
            return report(problems);
    }
    const auto done = app::serve(loaded->config, roles);
    if (done) return kOk;
    log::fatal("txstream", "cannot start", {{"error", done.error().what()}});
    return report(done.error());
}

void add(
    CLI::App& line,
    const Globals& globals,
    Run& run,
    const char* name,
    const char* what,
    app::Roles roles
) {
    line.add_subcommand(name, what)->callback([&globals, &run, roles] {
        run = [&globals, roles] { return serve(globals, roles); };
    });
}

}  // namespace

void add_serve(CLI::App& line, const Globals& globals, Run& run) {
    add(line,
        globals,
        run,
        "serve",
        "Orders API and relay in one process",
        {.api = true, .relay = true});
    add(line, globals, run, "api", "Orders API only", {.api = true, .relay = false});
    add(line, globals, run, "relay", "Relay only", {.api = false, .relay = true});
}

}  // namespace txstream::cli
