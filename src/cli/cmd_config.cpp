#include "app/config_check.hpp"
#include "app/config_render.hpp"
#include "cli/commands.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>
#include <utility>

namespace txstream::cli {

namespace {

int print(const Globals& globals, const std::string& format) {
    const auto loaded = read_config(globals);
    if (!loaded) return kUsage;
    fmt::print(
        "{}",
        format == "json" ? app::render_json(loaded->effective)
                         : app::render_table(loaded->effective)
    );
    for (const auto& warning : loaded->warnings)
        fmt::print(stderr, "txstream: {}\n", warning.message);
    return kOk;
}

int check(const Globals& globals) {
    const auto loaded = read_config(globals);
    if (!loaded) return kUsage;
    for (const auto& warning : loaded->warnings)
        fmt::print(stderr, "txstream: {}\n", warning.message);
    auto problems = app::check_kafka(*loaded);
    for (auto& problem : app::check_log_file(loaded->config))
        problems.push_back(std::move(problem));
    if (!problems.empty()) return report(problems);
    fmt::print("The configuration is usable.\n");
    return kOk;
}

}  // namespace

void add_config(CLI::App& line, const Globals& globals, Run& run) {
    auto* config = line.add_subcommand("config", "Show and check the configuration");
    config->require_subcommand(1);
    const auto format = std::make_shared<std::string>("table");
    auto* verb = config->add_subcommand(
        "print", "Each setting with its value and where it comes from; secrets are hidden"
    );
    verb->add_option("-o,--output", *format, "table or json")
        ->check(CLI::IsMember({"table", "json"}));
    verb->callback([&globals, &run, format] {
        run = [&globals, format] { return print(globals, *format); };
    });
    config->add_subcommand("check", "Report all mistakes; exit code 2 if there are any")
        ->callback([&globals, &run] { run = [&globals] { return check(globals); }; });
    const auto as_env = std::make_shared<bool>(false);
    verb = config->add_subcommand("docs", "Print the page docs/configuration.md");
    verb->add_flag("--env", *as_env, "Print .env.example instead");
    verb->callback([&run, as_env] {
        run = [as_env] {
            fmt::print("{}", *as_env ? app::render_env_example() : app::render_docs());
            return static_cast<int>(kOk);
        };
    });
}

}  // namespace txstream::cli
