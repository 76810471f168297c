#include "cli/commands.hpp"

#include "telemetry/log.hpp"

#include <fmt/format.h>

#include <cstdio>

namespace txstream::cli {

int exit_code_of(const Error& error) noexcept {
    // Before the general meaning of the code: a refused login is `rejected` like much else.
    if (error.origin().starts_with("28") || error.origin() == "42501") return kRefused;
    if (error.origin() == "3D000") return kNotFound;
    if (error.origin().starts_with("schema_")) return kPrecondition;
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

int report(const app::Problems& problems) {
    for (const auto& problem : problems) fmt::print(stderr, "txstream: {}\n", problem.message);
    return kUsage;
}

std::optional<app::Loaded> read_config(const Globals& globals) {
    auto sources = app::gather(globals.env_file);
    if (!sources) {
        report(sources.error());
        return std::nullopt;
    }
    auto loaded = app::load(*sources);
    if (!loaded) {
        report(loaded.error());
        return std::nullopt;
    }
    return std::move(*loaded);
}

std::optional<app::Loaded> load_config(const Globals& globals) {
    auto loaded = read_config(globals);
    if (!loaded) return loaded;
    if (const auto set = log::setup(loaded->config.logging); !set) {
        report({app::Problem{"LOGGING_OUTPUT_PATH", "LOGGING_OUTPUT_PATH: " + set.error().what()}});
        return std::nullopt;
    }
    return loaded;
}

}  // namespace txstream::cli
