#pragma once

#include "outbox/reader.hpp"
#include "pg/migrator.hpp"
#include "tests/support/pg_fixture.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>

namespace txstream::tests {

/// Migrations as they are shipped, of the outbox for 32 lanes.
inline pg::MigrationSet shipped_migrations(const std::string& name) {
    std::vector<std::pair<std::string, std::string>> files;
    const auto directory = std::filesystem::path(TXS_SOURCE_DIR) / "migrations" / name;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        std::ifstream in(entry.path());
        files.emplace_back(
            entry.path().filename(), std::string(std::istreambuf_iterator<char>(in), {})
        );
    }
    std::ranges::sort(files);
    auto set = must(pg::make_migration_set(name, {files.begin(), files.end()}));
    if (name == "outbox") set.parameters["lanes"] = "32";
    return set;
}

/// A page limited in rows only.
inline outbox::PageLimit rows_at_most(std::size_t rows) {
    return {rows, std::size_t{1} << 30U, std::size_t{1} << 30U};
}

/// A database with the outbox's migrations, and one session of a superuser in it.
class OutboxTest : public testing::Test {
protected:
    OutboxTest() { migrate({shipped_migrations("outbox")}); }

    void migrate(const std::vector<pg::MigrationSet>& sets) {
        must(wait(pg::migrate_up(*superuser_, sets, soon())));
    }

    /// Statements one after the other; the last one's first column of each row.
    std::vector<std::string> rows(const std::string& sql) { return rows(*superuser_, sql); }
    std::vector<std::string> rows(pg::Connection& session, const std::string& sql) {
        // Prepared statements are known by name: each text gets its own, for as long as we live.
        const auto [at, is_new] = texts_.try_emplace(sql, "t" + std::to_string(texts_.size()));
        const pg::Statement statement{at->second.c_str(), at->first.c_str()};
        const auto result = must(wait(session.run(statement, {}, soon())));
        std::vector<std::string> all;
        for (std::size_t i = 0; i < result.size(); ++i)
            all.emplace_back(result.is_null(i, 0) ? "NULL" : result.bytes(i, 0));
        return all;
    }
    /// The one row; texts only, so cast in the SQL.
    std::string one(const std::string& sql) {
        auto all = rows(sql);
        EXPECT_EQ(all.size(), 1U) << sql;
        return all.empty() ? "" : all.front();
    }
    Result<> try_script(pg::Connection& session, const std::string& sql) {
        return wait(session.run_script(sql, soon()));
    }
    void script(pg::Connection& session, const std::string& sql) { must(try_script(session, sql)); }

    std::unique_ptr<pg::Connection> connect(const std::string& settings = {}) {
        return database_.connect(io_, settings);
    }
    /// Makes an owner of the lanes for which the condition holds, as a claim does.
    void give_lanes(
        const std::string& owner, const std::string& condition, const std::string& lease = "1 hour"
    ) {
        script(
            *superuser_,
            "DELETE FROM txstream.leases WHERE owner = '" + owner +
                "'; INSERT INTO txstream.leases (owner, ends_at) VALUES ('" + owner +
                "', now() + interval '" + lease +
                "'); UPDATE txstream.lanes SET epoch = epoch + 1, lease = (SELECT number FROM "
                "txstream.leases WHERE owner = '" +
                owner + "') WHERE " + condition
        );
    }
    void end_lease(const std::string& owner) {
        script(
            *superuser_,
            "UPDATE txstream.leases SET ends_at = clock_timestamp() - interval '1 s' WHERE owner = "
            "'" +
                owner + "'"
        );
    }
    template <class T>
    T wait(asio::awaitable<T> task) {
        return run_until_done(io_, [&] { return std::move(task); });
    }

    TestDatabase database_;
    asio::io_context io_;
    std::unique_ptr<pg::Connection> superuser_ = connect();

private:
    std::map<std::string, std::string> texts_;
};

}  // namespace txstream::tests
