#include "cli/line.hpp"

#include "base/version.hpp"
#include "cli/usage.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <utility>

namespace txstream::cli {

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  txstream dev                     everything in one process, nothing to install but "
    "PostgreSQL\n"
    "  txstream migrate up              make or update the tables\n"
    "  txstream serve                   orders API and relay; `api` and `relay` run them apart\n"
    "\n`txstream help COMMAND` shows a command's options, examples and exit codes.\n"
    "All settings come from the environment and .env: txstream config print";

std::string version_text() {
    return fmt::format("txstream {} ({}, {})", version(), revision(), compiler());
}

void add_version(CLI::App& line, Run& run) {
    auto* command = line.add_subcommand("version", "Print version, revision and compiler");
    explain(*command, "  txstream version       the same as --version and -V\n", {kOk});
    command->callback([&run] {
        run = [] {
            fmt::print("{}\n", version_text());
            return static_cast<int>(kOk);
        };
    });
}

void add_help(CLI::App& line, Run& run) {
    auto* command = line.add_subcommand("help", "Print the help of a command");
    explain(
        *command,
        "  txstream help                  all commands\n"
        "  txstream help migrate up       the same as: txstream migrate up --help\n",
        {kOk, kUsage}
    );
    const auto words = std::make_shared<std::vector<std::string>>();
    command->add_option("command", *words, "The command, word by word");
    command->callback([&line, &run, words] {
        run = [&line, words] {
            const auto help = help_of(line, *words);
            if (help.is_found) {
                fmt::print("{}", help.text);
                return static_cast<int>(kOk);
            }
            fmt::print(stderr, "txstream: {}\n", help.text);
            return static_cast<int>(kUsage);
        };
    });
}

int refuse(std::string_view what) {
    fmt::print(stderr, "txstream: {}\n", what);
    return kUsage;
}

}  // namespace

Line::Line()
    : grammar_(std::make_unique<CLI::App>(
          "TxStream delivers events from PostgreSQL to Kafka through a transactional outbox.",
          "txstream"
      )) {
    auto& line = *grammar_;
    // Before there are subcommands: each takes it over when it is added.
    line.fallthrough();
    line.footer(kExamples);
    line.require_subcommand(0, 1);
    line.add_option("--env-file", globals_.env_file, "Read this file instead of .env")
        ->type_name("FILE");
    line.set_version_flag("-V,--version", version_text());
    add_serve(line, globals_, run_);
    add_dev(line, globals_, run_);
    add_migrate(line, globals_, run_);
    add_config(line, globals_, run_);
    add_outbox(line, globals_, run_);
    add_outbox_prune(line, globals_, run_);
    add_outbox_rebase(line, globals_, run_);
    add_events(line, globals_, run_);
    add_dead_letters(line, globals_, run_);
    add_dead_letters_decide(line, globals_, run_);
    add_jobs(line, globals_, run_);
    add_audit(line, globals_, run_);
    add_relays(line, globals_, run_);
    add_relays_pause(line, globals_, run_);
    add_relays_drain(line, globals_, run_);
    add_doctor(line, globals_, run_);
    add_healthcheck(line, globals_, run_);
    add_errors(line, run_);
    add_metrics(line, run_);
    add_completion(line, run_);
    add_version(line, run_);
    add_help(line, run_);
    explain_groups(line);
}

Line::~Line() = default;

int Line::run(std::vector<std::string> words) {
    if (const auto wrong = complaint(*grammar_, words)) return refuse(*wrong);
    try {
        // The library takes them from the end.
        std::ranges::reverse(words);
        grammar_->parse(std::move(words));
    } catch (const CLI::ParseError& error) {
        // CLI11 speaks in exceptions; they end here. Help and version are "errors" of code 0; what
        // is left else are values that our own checks refuse.
        if (error.get_exit_code() != 0) return refuse(error.what());
        return grammar_->exit(error) == 0 ? kOk : kUsage;
    }
    if (!run_) {
        fmt::print("{}", grammar_->help());
        return kOk;
    }
    return run_();
}

}  // namespace txstream::cli
