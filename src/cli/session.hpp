#pragma once

#include "app/config.hpp"
#include "pg/connection.hpp"

#include <functional>

namespace txstream::cli {

/// Opens a session, runs the function with it on a loop of its own, and gives what it returned.
Result<> with_session(
    const app::Config& config,
    std::chrono::milliseconds timeout,
    const std::function<Task<Result<>>(pg::Connection&, Deadline)>& work
);

}  // namespace txstream::cli
