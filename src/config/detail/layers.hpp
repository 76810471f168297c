#pragma once

#include "config/load.hpp"

#include <map>
#include <string>
#include <vector>

namespace txstream::config {

/// The values of one place, by the names of the variables.
struct Value {
    std::string text;
    std::string source;  ///< for people: "environment", "PGHOST (.env)"
};
using Layer = std::map<std::string, Value>;

/// What was said where, before anything is judged: files of secrets are read, DATABASE_URL is taken
/// apart, libpq's names are ours, and names that only look like ours are problems.
struct Layers {
    std::vector<Layer> all;  ///< earlier ones win
    /// What DATABASE_URL says beyond names of ours, by libpq's names. Of several URLs the first
    /// counts, whole: no part of another one gets into it.
    std::map<std::string, Value> url_parameters;
    /// The names of the variables that name a file of a secret: DATABASE_PASSWORD_FILE.
    std::vector<std::string> secret_files;
    Problems problems;
};

Layers read_layers(const Sources& sources);

}  // namespace txstream::config
