#pragma once

#include "app/config.hpp"
#include "base/error.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace txstream::cli {

/// Exit codes; each has a test.
enum Exit : int {
    kOk = 0,
    kFailed = 1,
    kUsage = 2,         ///< usage, parse or configuration error
    kNotFound = 3,      ///< a named thing does not exist (a database, say)
    kRefused = 4,       ///< authentication or authorisation
    kUnreachable = 5,   ///< PostgreSQL or Kafka cannot be reached
    kPrecondition = 6,  ///< the schema is older or newer than this binary
    kTimedOut = 7,
};

/// The one table from our failures to exit codes.
int exit_code_of(const Error& error) noexcept;

/// What every command may be given.
struct Globals {
    std::string env_file;  ///< empty: .env of the working directory, if there is one
};

/// Prints "txstream: <what>" to standard error; returns the exit code.
int report(const Error& error);
/// All problems, one per line, to standard error; returns kUsage.
int report(const app::Problems& problems);

/// Reads and checks the configuration; reports problems itself and returns nothing then. Changes
/// nothing, anywhere.
std::optional<app::Loaded> read_config(const Globals& globals);
/// The same, and logs as it says from then on.
std::optional<app::Loaded> load_config(const Globals& globals);

/// What the chosen subcommand does once the line has been parsed.
using Run = std::function<int()>;

// One function per subcommand, in cmd_<name>.cpp: adds it to the line's grammar. `globals` and
// `run` outlive the parse; the callback of the chosen command sets `run`.
void add_serve(CLI::App& line, const Globals& globals, Run& run);  ///< serve, api, relay
void add_dev(CLI::App& line, const Globals& globals, Run& run);
void add_migrate(CLI::App& line, const Globals& globals, Run& run);
void add_config(CLI::App& line, const Globals& globals, Run& run);

}  // namespace txstream::cli
