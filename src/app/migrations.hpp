#pragma once

#include "pg/migrator.hpp"

#include <string>
#include <vector>

namespace txstream::app {

/// The lanes of an outbox unless the migration is told otherwise.
constexpr int kLanesStandard = 32;

/// The migrations in this binary: "outbox" and "orders", or the one that is named. Asserts that
/// they are well-formed; `lanes` counts when the outbox is made.
std::vector<pg::MigrationSet> migration_sets(
    const std::string& only = {}, int lanes = kLanesStandard
);

/// Sets of this binary that were left out on purpose: none of their migrations is applied, but
/// those of the outbox are ("orders" after `migrate up --only outbox`).
Task<Result<std::vector<std::string>>> sets_left_out(pg::Connection& session, Deadline deadline);

struct SchemaComparison {
    std::vector<std::string> left_out;     ///< sets that were not compared: sets_left_out()
    std::vector<std::string> differences;  ///< pg::schema_differences(), in words
};
/// Whether the database is as these migrations make it. Fails where they are not applied.
Task<Result<SchemaComparison>> compare_schema(
    pg::Connection& session, std::string only, Deadline deadline
);

/// A power of two from 1 to 256.
bool is_lane_count(int lanes) noexcept;

}  // namespace txstream::app
