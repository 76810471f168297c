#include "cli/usage.hpp"
#include "config/render.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>

namespace txstream::cli {

namespace {

int print(const Globals& globals, const std::string& format) {
    const auto loaded = read_config(globals);
    if (!loaded) return kUsage;
    fmt::print(
        "{}",
        format == "json" ? config::render_json(loaded->effective)
                         : config::render_table(loaded->effective)
    );
    for (const auto& warning : loaded->warnings)
        fmt::print(stderr, "txstream: {}\n", warning.message);
    return kOk;
}

int check(const Globals& globals) {
    const auto loaded = read_config(globals, Depth::files);
    if (!loaded) return kUsage;
    for (const auto& warning : loaded->warnings)
        fmt::print(stderr, "txstream: {}\n", warning.message);
    fmt::print("The configuration is usable.\n");
    return kOk;
}

}  // namespace

void add_config(CLI::App& line, const Globals& globals, Run& run) {
    auto* config = line.add_subcommand("config", "Show and check the configuration");
    config->require_subcommand(1);
    explain(
        *config,
        "  txstream config check          all mistakes at once, before a deployment\n"
        "  txstream config print          each setting, its value and its source\n",
        {kOk, kUsage}
    );
    const auto format = std::make_shared<std::string>("table");
    auto* verb = config->add_subcommand(
        "print", "Each setting with its value and where it comes from; secrets are hidden"
    );
    allow_words(
        *verb->add_option("-o,--output", *format, "Form of the output")->capture_default_str(),
        {"table", "json"}
    );
    explain(
        *verb,
        "  txstream config print\n"
        "  txstream config print -o json | jq -r '.[] | select(.source != \"default\") | .name'\n",
        {kOk, kUsage}
    );
    verb->callback([&globals, &run, format] {
        run = [&globals, format] { return print(globals, *format); };
    });
    verb = config->add_subcommand("check", "Report all mistakes; connects to nobody");
    verb->callback([&globals, &run] { run = [&globals] { return check(globals); }; });
    explain(
        *verb,
        "  txstream config check --env-file production.env\n"
        "  KAFKA_SECURITY_PROTOCOL=sasl_ssl txstream config check\n",
        {kOk, kUsage}
    );
    const auto as_env = std::make_shared<bool>(false);
    verb = config->add_subcommand("docs", "Print the page docs/configuration.md");
    verb->add_flag("--env", *as_env, "Print .env.example instead");
    explain(
        *verb,
        "  txstream config docs --env > .env\n"
        "  txstream config docs | less\n",
        {kOk}
    );
    verb->callback([&run, as_env] {
        run = [as_env] {
            fmt::print("{}", *as_env ? config::render_env_example() : config::render_docs());
            return static_cast<int>(kOk);
        };
    });
}

}  // namespace txstream::cli
