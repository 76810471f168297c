#pragma once

#include "base/error.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task.hpp"

#include <string>
#include <vector>

namespace txstream::pg::detail {

/// True when somebody must be asked for the host's address: it is none itself, and no socket's
/// directory.
bool is_name(const std::string& host);

/// The addresses of a host name, as text and in the order in which to try them. A look-up that
/// takes longer than `deadline` is left behind; the end of the event loop does not wait for it.
Task<Result<std::vector<std::string>>> look_up(
    asio::any_io_executor executor, std::string name, Deadline deadline
);

}  // namespace txstream::pg::detail
