#pragma once

#include "console/json.hpp"
#include "pg/connection.hpp"

namespace txstream::console {

/// What each relay process reports, and who owns which lane: {"members", "lanes", "topics",
/// "is_locked", "locks"}.
Task<Result<Json>> read_relays(pg::Connection& session, Deadline deadline);

}  // namespace txstream::console
