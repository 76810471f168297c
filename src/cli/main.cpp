#include "base/version.hpp"
#include "cli/commands.hpp"
#include "cli/usage.hpp"
#include "runtime/signals.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <vector>

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
    line.add_option("--env-file", globals.env_file, "Read this file instead of .env")
        ->type_name("FILE");
    line.set_version_flag("-V,--version", version_text());
    add_serve(line, globals, run);
    add_dev(line, globals, run);
    add_migrate(line, globals, run);
    add_config(line, globals, run);
    add_healthcheck(line, globals, run);
    add_metrics(line, run);
    add_version(line, run);
    add_help(line, run);
    const std::span<char*> arguments(argv, static_cast<std::size_t>(argc));
    const std::vector<std::string> words(arguments.begin() + 1, arguments.end());
    if (const auto wrong = complaint(line, words)) return refuse(*wrong);
    try {
        line.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        // CLI11 speaks in exceptions; they end here. Help and version are "errors" of code 0; what
        // is left else are values that our own checks refuse.
        if (error.get_exit_code() != 0) return refuse(error.what());
        return line.exit(error) == 0 ? kOk : kUsage;
    }
    if (!run)
        run = [&line] {
            fmt::print("{}", line.help());
            return static_cast<int>(kOk);
        };
    return run();
}

/// A file that is opened later must not become standard output, and what we print not end up in it.
void open_standard_files() {
    for (int descriptor = 0; descriptor <= 2; ++descriptor) {
        if (fcntl(descriptor, F_GETFD) < 0) (void)::open("/dev/null", O_RDWR);
    }
}

int lost_output(int error) {
    // `txstream config docs | head -1`: who reads has enough.
    if (error == EPIPE) return kOk;
    fmt::print(stderr, "txstream: cannot write to standard output: {}\n", std::strerror(error));
    return kFailed;
}

}  // namespace

}  // namespace txstream::cli

int main(int argc, char** argv) {
    using namespace txstream;
    cli::open_standard_files();
    runtime::ignore_broken_pipes();
    int code = cli::kFailed;
    try {
        code = cli::run_line(argc, argv);
    } catch (const std::system_error& error) {
        // fmt's, when a full buffer cannot be written.
        if (std::string_view(error.what()).starts_with("cannot write to file"))
            return cli::lost_output(error.code().value());
        fmt::print(stderr, "txstream: {}\n", error.what());
        return cli::kFailed;
    } catch (const std::exception& error) {
        fmt::print(stderr, "txstream: {}\n", error.what());
        return cli::kFailed;
    }
    if (std::fflush(stdout) != 0 && code == cli::kOk) return cli::lost_output(errno);
    return code;
}
