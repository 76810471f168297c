#pragma once

#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "pg/connection.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

namespace CLI {
class Option;
}

// Verbs that look and change nothing: `outbox list`, `lanes list`.
namespace txstream::cli {

/// What a looking verb works with. The session cannot write, and walks indexes only
/// (outbox::kConsoleSettings).
struct Look {
    const Config& config;
    pg::Connection& session;
    Deadline deadline;
};

struct Answer {
    Listing listing;
    Exit code = kOk;
    std::string complaint;  ///< with a code that is not kOk: why
};

struct LookingVerb {
    std::string name;
    std::string what;
    std::string examples;
};

/// Adds a verb with `--output` and `--timeout`. `work` is called when it was chosen; what it
/// returns is printed in the form that was asked for. Its failures end with the exit code that they
/// mean.
CLI::App& add_look(
    CLI::App& group,
    const Globals& globals,
    Run& run,
    const LookingVerb& verb,
    std::function<Task<Result<Answer>>(Look)> work
);

/// The failure of a session with its remedy: PostgreSQL names what is missing or denied, and no
/// more. `role` is the one whose rights suffice.
Error explained(
    const Config& config, const Error& error, std::string_view role = "txstream_reader"
);

/// Only spans such as 90s or 10m, up to an hour.
void allow_timeouts(CLI::Option& option);
/// Only spans back from now, and times of RFC 3339; since_of() reads them.
void allow_since(CLI::Option& option);
std::chrono::sys_time<std::chrono::microseconds> since_of(std::string_view text);

}  // namespace txstream::cli
