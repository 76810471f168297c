#include "cli/commands.hpp"

#include "config/check.hpp"
#include "telemetry/log.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <utility>

namespace txstream::cli {

std::string_view meaning_of(Exit code) noexcept {
    switch (code) {
        case kOk:
            return "done";
        case kFailed:
            return "failed while running";
        case kUsage:
            return "the command line or the configuration is wrong";
        case kNotFound:
            return "a named thing does not exist (a database, say)";
        case kRefused:
            return "login, certificate or right refused";
        case kUnreachable:
            return "PostgreSQL or Kafka cannot be reached";
        case kPrecondition:
            return "the schema is missing, older or newer than this binary; or what was found does "
                   "not allow what was asked";
        case kTimedOut:
            return "out of time; at a stop: SHUTDOWN_TIMEOUT was not enough";
        case kFound:
            return "a check found what it looks for (--fail-if)";
        case kInterrupted:
            return "a second SIGINT or SIGTERM ended the stop";
    }
    return "";
}

int exit_code_of(const Error& error) noexcept {
    // Before the general meaning of the code: a refused login is `rejected` like much else.
    if (error.origin().starts_with("28") || error.origin() == "42501" || error.origin() == "TLS")
        return kRefused;
    if (error.origin() == "3D000") return kNotFound;
    if (error.origin().starts_with("schema_") || error.origin().starts_with("letter_") ||
        error.origin().starts_with("pause_") || error.origin().starts_with("drain_") ||
        error.origin() == "rebase_refused" || error.origin() == "foreign_instance")
        return kPrecondition;
    switch (error.code()) {
        case Code::invalid_input:
            return kUsage;
        case Code::not_found:
            return kNotFound;
        case Code::unavailable:
        case Code::overloaded:
            return kUnreachable;
        case Code::timed_out:
            return kTimedOut;
        case Code::conflict:
        case Code::rejected:
        case Code::corrupt:
        case Code::cancelled:
            return kFailed;
    }
    return kFailed;
}

int report(const Error& error) {
    fmt::print(stderr, "txstream: {}\n", error.what());
    return exit_code_of(error);
}

int report(const config::Problems& problems) {
    for (const auto& problem : problems) fmt::print(stderr, "txstream: {}\n", problem.message);
    return kUsage;
}

std::optional<config::Loaded> read_config(const Globals& globals, Depth depth) {
    auto sources = config::gather(globals.env_file);
    if (!sources) {
        report(sources.error());
        return std::nullopt;
    }
    auto judged = config::judge(*sources);
    if (depth == Depth::files) {
        auto checked = config::check_all(judged);
        judged.problems = std::move(checked.problems);
        judged.loaded.warnings = std::move(checked.warnings);
    }
    if (!judged.problems.empty()) {
        report(judged.problems);
        return std::nullopt;
    }
    return std::move(judged.loaded);
}

std::optional<config::Loaded> load_config(const Globals& globals, Depth depth) {
    auto loaded = read_config(globals, depth);
    if (!loaded) return loaded;
    if (const auto set = log::setup(loaded->config.logging); !set) {
        report({config::Problem{"LOGGING_OUTPUT_PATH", "LOGGING_OUTPUT_PATH: " + set.error().what()}
        });
        return std::nullopt;
    }
    return loaded;
}

}  // namespace txstream::cli
