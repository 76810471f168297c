#include "app/migrations.hpp"

#include "base/assert.hpp"
#include "base/embedded_file.hpp"
#include "pg/catalogue.hpp"

#include <algorithm>
#include <bit>
#include <span>
#include <string_view>
#include <utility>

namespace txstream::app::embedded {

// Generated from migrations/ (cmake/txs_embed.cmake).
std::span<const base::EmbeddedFile> outbox_migrations();
std::span<const base::EmbeddedFile> orders_migrations();

}  // namespace txstream::app::embedded

namespace txstream::app {

namespace {

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

Task<Result<std::vector<std::string>>> sets_left_out(pg::Connection& session, Deadline deadline) {
    TXS_CO_TRY(
        const auto states, co_await pg::migration_status(session, migration_sets(), deadline)
    );
    const auto is_applied = [&states](std::string_view set) {
        return std::ranges::any_of(states, [set](const pg::MigrationState& one) {
            return one.set == set && one.is_applied;
        });
    };
    std::vector<std::string> left_out;
    if (is_applied("outbox") && !is_applied("orders")) left_out.emplace_back("orders");
    co_return left_out;
}

Task<Result<SchemaComparison>> compare_schema(
    pg::Connection& session, std::string only, Deadline deadline
) {
    SchemaComparison found;
    auto sets = migration_sets(only);
    if (only.empty()) {
        TXS_CO_TRY(found.left_out, co_await sets_left_out(session, deadline));
        std::erase_if(sets, [&](const pg::MigrationSet& set) {
            return std::ranges::find(found.left_out, set.name) != found.left_out.end();
        });
    }
    TXS_CO_CHECK(co_await pg::check_schema(session, sets, deadline));
    TXS_CO_TRY(found.differences, co_await pg::schema_differences(session, sets, deadline));
    co_return found;
}

bool is_lane_count(int lanes) noexcept {
    return lanes >= 1 && lanes <= 256 && std::has_single_bit(static_cast<unsigned>(lanes));
}

}  // namespace txstream::app
