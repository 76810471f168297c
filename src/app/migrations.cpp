#include "app/migrations.hpp"

#include "base/assert.hpp"
#include "base/embedded_file.hpp"

#include <bit>
#include <span>

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

bool is_lane_count(int lanes) noexcept {
    return lanes >= 1 && lanes <= 256 && std::has_single_bit(static_cast<unsigned>(lanes));
}

}  // namespace txstream::app
