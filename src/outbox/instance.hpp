#pragma once

#include "pg/connection.hpp"

#include <string>

namespace txstream::outbox {

/// Origin of the error of check_instance().
inline constexpr const char* kForeignInstance = "foreign_instance";

/// Whether this database is the one whose cursors it holds. Fails with Code::corrupt, and remembers
/// it in txstream.instance, when it is a copy, was restored into another cluster, or when a cursor
/// knows transactions that the cluster has not had. From then on it fails until an operator has
/// decided what of the outbox was published (rebase.hpp): transaction ids catch up, and what they
/// then say of old rows is a lie.
Task<Result<>> check_instance(pg::Connection& connection, Deadline deadline);

/// The same question, without remembering the answer: why it is or would be refused; empty: it is
/// not.
Task<Result<std::string>> why_refused(pg::Connection& connection, Deadline deadline);

}  // namespace txstream::outbox
