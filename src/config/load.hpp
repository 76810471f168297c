#pragma once

#include "base/error.hpp"
#include "config/config.hpp"

#include <tl/expected.hpp>

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::config {

/// One thing to change. `message` is complete: variable, value (never of a secret), what is
/// allowed.
struct Problem {
    std::string name;
    std::string message;
};
using Problems = std::vector<Problem>;

/// What was chosen for one setting and where it comes from, for `config print`.
struct Effective {
    std::string name;
    std::string value;  ///< "****" for a secret that is set
    std::string source;
};

struct Loaded {
    Config config;
    std::vector<Effective> effective;
    std::vector<Problem> warnings;  ///< allowed, but worth knowing
};

/// Where values come from; earlier ones win.
struct Sources {
    std::map<std::string, std::string> command_line;  ///< by the names of the variables
    std::map<std::string, std::string> environment;
    std::string dotenv;  ///< text of the .env file
    std::string dotenv_name = ".env";
    /// For the `_FILE` variants of secrets.
    std::function<Result<std::string>(const std::string& path)> read_file;
};

/// What is said where, with all that is wrong with it. Where a value is not allowed, the
/// configuration has the default, so that what is wrong elsewhere is found too.
struct Judged {
    Loaded loaded;
    Problems problems;
};
/// Pure.
Judged judge(const Sources& sources);
/// The same, but for use: a configuration, or all its problems.
tl::expected<Loaded, Problems> load(const Sources& sources);

/// Whether there is a setting of that name.
bool is_setting(std::string_view name);

/// The real environment and the real file. Without a name it is `.env` in the working directory,
/// which may be missing; a file that was named must exist.
tl::expected<Sources, Problems> gather(const std::string& dotenv_name = {});

}  // namespace txstream::config
