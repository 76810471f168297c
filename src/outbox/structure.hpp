#pragma once

#include "base/error.hpp"
#include "pg/connection.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task.hpp"

namespace txstream::outbox {

/// Whether the tables still are what a cursor relies on: that a row which was committed into the
/// outbox can be seen there, under the transaction that wrote it, and that what the relay writes is
/// stored. Code::corrupt with the origin "outbox_structure" names everything that may hide or
/// divert rows: another object in a table's place, rules, triggers, row-level security, partitions
/// that are missing or detached, unlogged tables, missing lanes.
///
/// Reads the catalogue and txstream.lanes only, in a millisecond or two, with any role's rights on
/// them; `pg::schema_differences` compares everything.
Task<Result<>> check_structure(pg::Connection& connection, Deadline deadline);

}  // namespace txstream::outbox
