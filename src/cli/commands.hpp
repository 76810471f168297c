#pragma once

#include "base/error.hpp"
#include "config/load.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace txstream::cli {

/// Exit codes; each has a test, and its meaning in commands.cpp.
enum Exit : int {
    kOk = 0,
    kFailed = 1,
    kUsage = 2,
    kNotFound = 3,
    kRefused = 4,
    kUnreachable = 5,
    kPrecondition = 6,
    kTimedOut = 7,
    kFound = 8,
    kInterrupted = 130,
};

/// For the help.
std::string_view meaning_of(Exit code) noexcept;

/// The one table from our failures to exit codes.
int exit_code_of(const Error& error) noexcept;

/// What every command may be given.
struct Globals {
    std::string env_file;  ///< empty: .env of the working directory, if there is one
};

/// Prints "txstream: <what>" to standard error; returns the exit code.
int report(const Error& error);
/// All problems, one per line, to standard error; returns kUsage.
int report(const config::Problems& problems);

/// How much of the configuration a command depends on.
enum class Depth : std::uint8_t {
    values,  ///< what the configuration says
    files,   ///< and what librdkafka and the files that it names say to it
};
/// Reads and checks the configuration; reports problems itself, all at once, and returns nothing
/// then. Changes nothing, anywhere.
std::optional<config::Loaded> read_config(const Globals& globals, Depth depth = Depth::values);
/// The same, and logs as it says from then on.
std::optional<config::Loaded> load_config(const Globals& globals, Depth depth = Depth::values);

/// What the chosen subcommand does once the line has been parsed.
using Run = std::function<int()>;

// One function per subcommand, in cmd_<name>.cpp: adds it to the line's grammar. `globals` and
// `run` outlive the parse; the callback of the chosen command sets `run`.
void add_serve(CLI::App& line, const Globals& globals, Run& run);  ///< serve, api, relay
void add_dev(CLI::App& line, const Globals& globals, Run& run);
void add_migrate(CLI::App& line, const Globals& globals, Run& run);
void add_config(CLI::App& line, const Globals& globals, Run& run);
void add_dead_letters_decide(CLI::App& line, const Globals& globals, Run& run);
void add_jobs(CLI::App& line, const Globals& globals, Run& run);
void add_audit(CLI::App& line, const Globals& globals, Run& run);
void add_errors(CLI::App& line, Run& run);
void add_metrics(CLI::App& line, Run& run);
void add_outbox(CLI::App& line, const Globals& globals, Run& run);
void add_events(CLI::App& line, const Globals& globals, Run& run);
void add_dead_letters(CLI::App& line, const Globals& globals, Run& run);
void add_relays(CLI::App& line, const Globals& globals, Run& run);  ///< relays, lanes, breaker
void add_relays_pause(CLI::App& line, const Globals& globals, Run& run);  ///< of the group relays
void add_relays_drain(CLI::App& line, const Globals& globals, Run& run);
/// Completions and the manual; they know of what is added later, too.
void add_completion(CLI::App& line, Run& run);
void add_outbox_prune(CLI::App& line, const Globals& globals, Run& run);  ///< of the group outbox
void add_outbox_rebase(CLI::App& line, const Globals& globals, Run& run);
void add_doctor(CLI::App& line, const Globals& globals, Run& run);
void add_healthcheck(CLI::App& line, const Globals& globals, Run& run);

}  // namespace txstream::cli
