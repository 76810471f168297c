#pragma once

#include "config/config.hpp"
#include "pg/conn_info.hpp"
#include "pg/connection.hpp"

#include <functional>
#include <memory>
#include <string>

namespace txstream::app {

/// Opens a session, runs the function with it on a loop of its own, and gives what it returned.
Result<> with_session(
    const Config& config,
    std::chrono::milliseconds timeout,
    const std::function<Task<Result<>>(pg::Connection&, Deadline)>& work
);

/// Opens the session where there is none, or it has ended. It is none after a failure.
Task<Result<>> ensure_open(
    std::unique_ptr<pg::Connection>& session,
    asio::any_io_executor executor,
    pg::ConnInfo conninfo,
    std::string settings,
    Deadline deadline
);

}  // namespace txstream::app
