#pragma once

#include "base/error.hpp"
#include "pg/connection.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::pg {

/// One file of SQL. Applied in a transaction of its own, unless its first line is
/// `-- txstream: no transaction` (what PostgreSQL refuses to do in one); such a file holds one
/// statement, which must leave nothing when it fails, or be fit to be run again.
struct Migration {
    int version = 0;
    std::string name;
    std::string sql;

    /// SHA-256 of the file as it was shipped, hexadecimal.
    std::string checksum() const;
};

/// Migrations of one subject ("outbox"), versions 1, 2, 3 …; an application may adopt one set
/// without the other.
struct MigrationSet {
    std::string name;
    std::vector<Migration> migrations;
    /// `{{name}}` in the SQL becomes the value when it is applied.
    std::map<std::string, std::string> parameters;
};

/// Makes a set of files "NNNN_name.sql".
Result<MigrationSet> make_migration_set(
    std::string name, const std::vector<std::pair<std::string_view, std::string_view>>& files
);

struct MigrationState {
    std::string set;
    int version = 0;
    std::string name;
    bool is_applied = false;
    std::string applied_at;  ///< RFC 3339; empty when pending
};

/// Applies what is pending, in order, and gives back what it applied. Any number of processes may
/// call it at the same time: an advisory lock lets one work, and the others find it done.
///
/// Fails with Code::conflict (and changes nothing) when an applied file differs from ours, or when
/// the database has a version that we do not know. A migration that fails leaves nothing behind;
/// those before it stay.
Task<Result<std::vector<MigrationState>>> migrate_up(
    Connection& connection, std::vector<MigrationSet> sets, Deadline deadline
);

/// Applied and pending migrations of the sets; also those of the database that we do not know.
Task<Result<std::vector<MigrationState>>> migration_status(
    Connection& connection, std::vector<MigrationSet> sets, Deadline deadline
);

/// The sets as a script for psql, for those who apply it by other means: what migrate_up would do
/// in an empty database, with the rows by which it and check_schema know that it was done.
std::string migration_script(const std::vector<MigrationSet>& sets);

/// For the start of a service: Code::conflict with the remedy when the schema is not exactly ours.
/// Needs no right but to read txstream.schema_migrations.
Task<Result<>> check_schema(
    Connection& connection, std::vector<MigrationSet> sets, Deadline deadline
);

}  // namespace txstream::pg
