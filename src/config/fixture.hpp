#pragma once

#include "config/load.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace txstream::config {

using Variables = std::map<std::string, std::string>;

inline Sources sources_of(Variables environment, std::string dotenv = {}) {
    Sources sources;
    sources.environment = std::move(environment);
    sources.dotenv = std::move(dotenv);
    sources.read_file = [](const std::string& path) -> Result<std::string> {
        if (path == "/run/secrets/password") return "from-the-file\n";
        return fail(Code::not_found, path + ": no such file");
    };
    return sources;
}

inline Loaded loaded(Variables environment, std::string dotenv = {}) {
    auto result = load(sources_of(std::move(environment), std::move(dotenv)));
    if (!result) {
        ADD_FAILURE() << result.error().front().message;
        return {};
    }
    return std::move(*result);
}

/// All messages, one a line; empty when it loads.
inline std::string problems(Variables environment, std::string dotenv = {}) {
    const auto result = load(sources_of(std::move(environment), std::move(dotenv)));
    std::string all;
    if (!result) {
        for (const auto& problem : result.error()) all += problem.message + "\n";
    }
    return all;
}

inline bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace txstream::config
