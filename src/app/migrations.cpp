#include "app/migrations.hpp"

#include "base/assert.hpp"
#include "base/embedded_file.hpp"

#include <fmt/format.h>

#include <bit>
#include <span>
#include <string_view>

namespace txstream::app::embedded {

// Generated from migrations/ (cmake/txs_embed.cmake).
std::span<const base::EmbeddedFile> outbox_migrations();
std::span<const base::EmbeddedFile> orders_migrations();

}  // namespace txstream::app::embedded

namespace txstream::app {

namespace {

// As pg::migrate_up makes them; test_operation.py compares the two ways.
constexpr const char* kPrepare =
    "CREATE SCHEMA IF NOT EXISTS txstream;\n"
    "CREATE TABLE IF NOT EXISTS txstream.schema_migrations (\n"
    "    migration_set text NOT NULL, version integer NOT NULL, name text NOT NULL,\n"
    "    checksum text NOT NULL, parameters json NOT NULL DEFAULT '{}',\n"
    "    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),\n"
    "    PRIMARY KEY (migration_set, version));\n";
constexpr std::string_view kNoTransaction = "-- txstream: no transaction";

pg::MigrationSet made_of(const std::string& name, std::span<const base::EmbeddedFile> files) {
    std::vector<std::pair<std::string_view, std::string_view>> pairs;
    for (const auto& file : files) pairs.emplace_back(file.name, file.bytes);
    auto set = pg::make_migration_set(name, pairs);
    TXS_ASSERT(set, "the migrations in the binary are numbered without a gap");
    return std::move(*set);
}

}  // namespace

std::vector<pg::MigrationSet> migration_sets(const std::string& only, int lanes) {
    TXS_ASSERT(is_lane_count(lanes), "lanes are a power of two");
    std::vector<pg::MigrationSet> sets;
    if (only.empty() || only == "outbox") {
        sets.push_back(made_of("outbox", embedded::outbox_migrations()));
        sets.back().parameters["lanes"] = std::to_string(lanes);
    }
    if (only.empty() || only == "orders")
        sets.push_back(made_of("orders", embedded::orders_migrations()));
    return sets;
}

std::string migration_script(const std::vector<pg::MigrationSet>& sets) {
    std::string script = kPrepare;
    for (const auto& set : sets) {
        std::string parameters;
        for (const auto& [name, value] : set.parameters) {
            parameters += parameters.empty() ? "" : ",";
            parameters += fmt::format(R"("{}":"{}")", name, value);
        }
        for (const auto& migration : set.migrations) {
            auto sql = migration.sql;
            for (const auto& [name, value] : set.parameters) {
                const auto mark = "{{" + name + "}}";
                for (auto at = sql.find(mark); at != std::string::npos; at = sql.find(mark, at))
                    sql.replace(at, mark.size(), value);
            }
            const bool alone = sql.starts_with(kNoTransaction);
            script +=
                fmt::format("\n-- {} {:04}_{}\n", set.name, migration.version, migration.name);
            script += alone ? "" : "BEGIN;\n";
            script += sql;
            script += fmt::format(
                "\nINSERT INTO txstream.schema_migrations"
                " (migration_set, version, name, checksum, parameters)\n"
                "VALUES ('{}', {}, '{}', '{}', '{{{}}}');\n",
                set.name,
                migration.version,
                migration.name,
                migration.checksum(),
                parameters
            );
            script += alone ? "" : "COMMIT;\n";
        }
    }
    return script;
}

bool is_lane_count(int lanes) noexcept {
    return lanes >= 1 && lanes <= 256 && std::has_single_bit(static_cast<unsigned>(lanes));
}

}  // namespace txstream::app
