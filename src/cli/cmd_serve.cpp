#include "app/service.hpp"
#include "cli/usage.hpp"
#include "telemetry/log.hpp"

#include <CLI/CLI.hpp>

#include <string_view>

namespace txstream::cli {

namespace {

int serve(const Globals& globals, app::Roles roles) {
    const auto loaded = load_config(globals, roles.relay ? Depth::files : Depth::values);
    if (!loaded) return kUsage;
    for (const auto& warning : loaded->warnings) log::warn("config", warning.message);
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
    std::string_view examples,
    app::Roles roles
) {
    auto* command = line.add_subcommand(name, what);
    command->callback([&globals, &run, roles] {
        run = [&globals, roles] { return serve(globals, roles); };
    });
    explain(
        *command,
        examples,
        {kOk,
         kFailed,
         kUsage,
         kNotFound,
         kRefused,
         kUnreachable,
         kPrecondition,
         kTimedOut,
         kInterrupted}
    );
}

}  // namespace

void add_serve(CLI::App& line, const Globals& globals, Run& run) {
    add(line,
        globals,
        run,
        "serve",
        "Orders API, relay and console in one process",
        "  txstream migrate up && txstream serve\n"
        "  SERVER_HOST=0.0.0.0 SERVER_PORT=8080 txstream serve\n",
        {.api = true, .relay = true, .console = true});
    add(line,
        globals,
        run,
        "api",
        "Orders API only",
        "  SERVER_PORT=0 txstream api     on a free port; the log says which\n",
        {.api = true, .relay = false});
    add(line,
        globals,
        run,
        "relay",
        "Relay only; it needs the outbox, not the orders",
        "  txstream migrate up --only outbox && txstream relay\n"
        "  WORKER_POOL_SIZE=8 METRICS_PORT=9092 txstream relay\n",
        {.api = false, .relay = true});
    add(line,
        globals,
        run,
        "console",
        "Console only: shows outbox, orders and Kafka",
        "  txstream console && open http://127.0.0.1:8082\n"
        "  CONSOLE_ENV_LABEL=staging CONSOLE_PORT=8083 txstream console\n",
        {.console = true});
}

}  // namespace txstream::cli
