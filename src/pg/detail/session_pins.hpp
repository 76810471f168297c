#pragma once

#include "base/error.hpp"
#include "pg/rows.hpp"

#include <string>

namespace txstream::pg::detail {

/// One statement that sets what decides about a session's results to known values, whatever ALTER
/// SYSTEM, ALTER DATABASE or ALTER ROLE say. $1 is the process id that the handshake named: where
/// another process answers, a pooler is in between, and the settings end with the transaction, so
/// that a shared server process does not carry them to its next user.
std::string pins_sql(int server_version);

/// The row that it returns.
struct Pinned {
    std::int64_t backend_pid;
};
/// Fails when a setting is in force that hides rows or skips constraints and that only a superuser
/// may change.
Result<Pinned> read_pinned(const Rows& rows);

}  // namespace txstream::pg::detail
