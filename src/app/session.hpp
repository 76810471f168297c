#pragma once

#include "config/config.hpp"
#include "pg/connection.hpp"

#include <functional>

namespace txstream::app {

/// Opens a session, runs the function with it on a loop of its own, and gives what it returned.
Result<> with_session(
    const Config& config,
    std::chrono::milliseconds timeout,
    const std::function<Task<Result<>>(pg::Connection&, Deadline)>& work
);

}  // namespace txstream::app
