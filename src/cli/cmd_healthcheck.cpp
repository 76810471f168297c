#include "app/healthcheck.hpp"
#include "cli/usage.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <memory>

namespace txstream::cli {

namespace {

// Shorter than what container engines and orchestrators are commonly set to.
constexpr std::chrono::seconds kDeadline{3};

// 0 or 1 and nothing else: Docker reserves the other codes of a health check.
int check(const Globals& globals, const app::HealthQuestion& question) {
    const auto loaded = read_config(globals);
    if (!loaded) return kFailed;
    const auto health = app::check_health(loaded->config, question, Deadline::in(kDeadline));
    if (!health) {
        fmt::print(stderr, "txstream: {}\n", health.error().what());
        return kFailed;
    }
    fmt::print("{}\n", *health);
    return kOk;
}

}  // namespace

void add_healthcheck(CLI::App& line, const Globals& globals, Run& run) {
    auto* command = line.add_subcommand(
        "healthcheck", "Ask the txstream that runs here whether it lives, or is ready; 3 s at most"
    );
    const auto question = std::make_shared<app::HealthQuestion>();
    const auto is_live = std::make_shared<bool>(false);
    const auto is_ready = std::make_shared<bool>(false);
    auto* live = command->add_flag("--live", *is_live, "Whether it answers (the default): /livez");
    auto* ready = command->add_flag(
        "--ready", *is_ready, "Whether it can do its work, a relay whether it delivers: /readyz"
    );
    live->excludes(ready);
    allow_words(
        *command->add_option("--role", question->role, "Only this one; otherwise all that listen"),
        {"api", "relay", "console"}
    );
    explain(
        *command,
        "  txstream healthcheck                 with the environment of the process that it asks\n"
        "  txstream healthcheck --ready --role relay\n",
        {kOk, kFailed, kUsage}
    );
    command->callback([&globals, &run, question, is_live, is_ready] {
        if (*is_ready) question->kind = app::HealthQuestion::Kind::ready;
        run = [&globals, question] { return check(globals, *question); };
    });
}

}  // namespace txstream::cli
