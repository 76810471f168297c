#pragma once

#include "base/error.hpp"
#include "pg/connection.hpp"
#include "pg/migrator.hpp"

#include <string>
#include <vector>

namespace txstream::pg {

/// In what the database differs from what the sets' migrations make: tables, columns, constraints,
/// indexes, views, functions, triggers, rules, policies, rights; each in words with what it should
/// be. All migrations of the sets must have been applied (check_schema).
///
/// The migrations run in schemas of their own, in a transaction that is rolled back: no list of
/// what is expected can be out of date, and no version of PostgreSQL writes a definition
/// differently from itself. The price is that the role must be allowed to create schemas. Nothing
/// that exists is locked. Additional indexes that are not unique, and rights of roles other than
/// PUBLIC and txstream_*, are the operator's own business.
Task<Result<std::vector<std::string>>> schema_differences(
    Connection& connection, std::vector<MigrationSet> sets, Deadline deadline
);

}  // namespace txstream::pg
