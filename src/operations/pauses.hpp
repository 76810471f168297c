#pragma once

#include "operations/dead_letters.hpp"
#include "outbox/pauses.hpp"
#include "pg/connection.hpp"
#include "runtime/deadline.hpp"

namespace txstream::operations {

/// Of errors of pause() whose code is `conflict`.
inline constexpr const char* kPauseOrigin = "pause_state";

/// Everything, a topic, or a key is not sent any more, until resume(): relays look each second, and
/// what is with Kafka's client by then still arrives. Writes the row of the audit. Code::conflict:
/// it is paused already. Code::invalid_input: no reason, a name that is too long, too many pauses.
Task<Result<>> pause(
    pg::Connection& connection, outbox::Pause what, Authority authority, Deadline deadline
);
/// Code::not_found: it is not paused.
Task<Result<>> resume(
    pg::Connection& connection, outbox::Pause what, Authority authority, Deadline deadline
);

}  // namespace txstream::operations
