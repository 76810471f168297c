#pragma once

#include "outbox/event_row.hpp"
#include "pg/connection.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace txstream::outbox {

/// A row of txstream.audit: a transaction in which an operator changed something.
struct AuditEntry {
    std::int64_t id = 0;
    Time at;
    std::string login;   ///< whom the database let in
    std::string actor;   ///< whom the program names
    std::string origin;  ///< cli, console
    std::string action;
    std::string target;  ///< JSON object: what was asked for
    std::string reason;  ///< empty: none
    std::int64_t affected = 0;
    std::string result;
    std::optional<std::int64_t> job;  ///< that it made, cancelled, or took a step of
};

/// Reads what TXS_AUDIT_ENTRY selects.
AuditEntry audit_entry_at(const pg::Rows& rows, std::size_t row);

/// The newest first, those before `before`; of one action only, where it is named.
Task<Result<std::vector<AuditEntry>>> audit_entries(
    pg::Connection& connection,
    std::optional<std::int64_t> before,
    std::optional<std::string> action,
    std::size_t limit,
    Deadline deadline
);

}  // namespace txstream::outbox

#define TXS_AUDIT_ENTRY \
    "id, at, login, actor, origin, action, target::text, reason, affected, result, job"
