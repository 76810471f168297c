#include "pg/migrator.hpp"

#include "base/assert.hpp"
#include "base/text.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <openssl/evp.h>
#include <utility>

namespace txstream::pg {
namespace {

constexpr std::string_view kNoTransaction = "-- txstream: no transaction";

// Any constant will do, as long as no other program locks by it: "txstream" in ASCII.
// Asked for again and again, not waited for: who waits in a statement holds a snapshot, and CREATE
// INDEX CONCURRENTLY waits for all of those, so that the two would wait for each other.
constexpr Statement kTryLock{
    "txs_migrate_lock", "SELECT pg_try_advisory_lock(8392585648256897133)"
};
constexpr std::chrono::milliseconds kLockPoll{50};
constexpr Statement kUnlock{"txs_migrate_unlock", "SELECT pg_advisory_unlock(8392585648256897133)"};

constexpr const char* kPrepare =
    R"(
CREATE SCHEMA IF NOT EXISTS txstream;
CREATE TABLE IF NOT EXISTS txstream.schema_migrations (
    migration_set text NOT NULL, version integer NOT NULL, name text NOT NULL,
    checksum text NOT NULL, parameters json NOT NULL DEFAULT '{}',
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (migration_set, version));
)";

// Other programs have schemas of this name, too, and other migration tools tables of that one.
constexpr Statement kPlace{
    "txs_migrate_place",
    R"(
SELECT current_setting('server_encoding'),
to_regclass('txstream.schema_migrations') IS NOT NULL,
6 = (SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('txstream.schema_migrations')
 AND attname IN ('migration_set', 'version', 'name', 'checksum', 'parameters', 'applied_at')),
(SELECT string_agg(name, ', ') FROM (SELECT relname AS name FROM pg_class
  WHERE relnamespace = to_regnamespace('txstream')
 UNION SELECT proname FROM pg_proc WHERE pronamespace = to_regnamespace('txstream')
 UNION SELECT typname FROM pg_type WHERE typnamespace = to_regnamespace('txstream')
 ORDER BY name LIMIT 5) foreign_object))"
};
constexpr Statement kApplied{
    "txs_migrate_applied",
    R"(
SELECT migration_set, version, name, checksum,
to_char(applied_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM txstream.schema_migrations ORDER BY migration_set, version)"
};
constexpr Statement kRecord{
    "txs_migrate_record",
    R"(
INSERT INTO txstream.schema_migrations (migration_set, version, name, checksum, parameters)
VALUES ($1, $2::integer, $3, $4, $5::json))"
};

struct Applied {
    std::string set;
    int version;
    std::string name;
    std::string checksum;
    std::string at;
};

std::string filled_in(std::string sql, const std::map<std::string, std::string>& parameters) {
    for (const auto& [name, value] : parameters) {
        const auto mark = "{{" + name + "}}";
        for (auto at = sql.find(mark); at != std::string::npos; at = sql.find(mark, at))
            sql.replace(at, mark.size(), value);
    }
    return sql;
}

std::string as_json(const std::map<std::string, std::string>& parameters) {
    std::string json = "{";
    for (const auto& [name, value] : parameters) {
        // Names and values are ours and of letters and digits.
        json += fmt::format("{}\"{}\":\"{}\"", json.size() > 1 ? "," : "", name, value);
    }
    return json + "}";
}

Error foreign_schema(std::string_view why) {
    return Error(
        Code::conflict,
        fmt::format(
            "this database has a schema txstream that is not TxStream's ({}); rename it (ALTER "
            "SCHEMA txstream RENAME TO ...) or use another database. Nothing was changed",
            why
        ),
        "schema_foreign"
    );
}

/// Whether we have been here; fails where we must not be.
Task<Result<bool>> look_at_place(Connection& connection, Deadline deadline) {
    TXS_CO_TRY(const auto place, co_await connection.run(kPlace, Params(), deadline));
    if (place.bytes(0, 0) != "UTF8") {
        co_return fail(
            Code::rejected,
            fmt::format(
                "this database is in {}, and keys are hashed, and events sent, in UTF8; use "
                "another one: CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0. Nothing was "
                "changed",
                place.bytes(0, 0)
            ),
            "database_encoding"
        );
    }
    const bool has_table = place.boolean(0, 1);
    if (has_table && !place.boolean(0, 2)) {
        co_return tl::unexpected(
            foreign_schema("its table schema_migrations has other columns than ours")
        );
    }
    if (!has_table && !place.is_null(0, 3))
        co_return tl::unexpected(foreign_schema(fmt::format("it holds {}", place.bytes(0, 3))));
    co_return has_table;
}

Task<Result<std::vector<Applied>>> read_applied(Connection& connection, Deadline deadline) {
    std::vector<Applied> applied;
    TXS_CO_TRY(const bool exists, co_await look_at_place(connection, deadline));
    if (!exists) co_return applied;
    TXS_CO_TRY(const auto rows, co_await connection.run(kApplied, Params(), deadline));
    for (std::size_t i = 0; i < rows.size(); ++i) {
        applied.push_back(
            {std::string(rows.bytes(i, 0)),
             static_cast<int>(rows.integer(i, 1)),
             std::string(rows.bytes(i, 2)),
             std::string(rows.bytes(i, 3)),
             std::string(rows.bytes(i, 4))}
        );
    }
    co_return applied;
}

const Applied* find(const std::vector<Applied>& applied, std::string_view set, int version) {
    const auto found = std::ranges::find_if(applied, [&](const Applied& one) {
        return one.set == set && one.version == version;
    });
    return found == applied.end() ? nullptr : &*found;
}

// An edited file means that two databases with "version 1" are not the same; a version beyond ours
// means that a newer txstream was here, whose tables we do not know.
Result<> check_known(const MigrationSet& set, const std::vector<Applied>& applied) {
    const int newest = static_cast<int>(set.migrations.size());
    for (const auto& one : applied) {
        if (one.set != set.name) continue;
        if (one.version > newest || one.version < 1) {
            return fail(
                Code::conflict,
                fmt::format(
                    "the database is at {} {:04} ({}), this txstream knows up to {:04}: use a "
                    "newer txstream",
                    set.name,
                    one.version,
                    one.name,
                    newest
                ),
                "schema_newer"
            );
        }
        const auto& ours = set.migrations[static_cast<std::size_t>(one.version - 1)];
        if (one.checksum != ours.checksum()) {
            return fail(
                Code::conflict,
                fmt::format(
                    "migration {} {:04}_{} differs from the one that was applied on {}; applied "
                    "files must not be edited: use the txstream that applied it, or add a new "
                    "migration",
                    set.name,
                    one.version,
                    ours.name,
                    one.at
                ),
                "schema_differs"
            );
        }
    }
    return {};
}

Task<Result<>> lock(Connection& connection, Deadline deadline) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    while (true) {
        TXS_CO_TRY(const auto rows, co_await connection.run(kTryLock, Params(), deadline));
        if (rows.boolean(0, 0)) co_return Result<>();
        timer.expires_at(Deadline::in(kLockPoll).sooner(deadline).at());
        const auto [ec] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        if (ec) co_return fail(Code::cancelled, "cancelled while another process migrates");
        if (deadline.passed()) {
            co_return fail(
                Code::timed_out,
                "another process migrates this database and did not end in time; nothing was done"
            );
        }
    }
}

// What exists under the name of something that a migration makes, a user may have made for himself.
Error with_remedy(Error error) {
    if (error.code() != Code::conflict || !error.origin().starts_with("42")) return error;
    return Error(
        error.code(),
        error.what() +
            "; it is not TxStream's: rename it, or leave this set out with --only. Nothing of this "
            "migration was done",
        error.origin()
    );
}

Task<Result<>> apply(
    Connection& connection,
    const MigrationSet& set,
    const Migration& migration,
    bool is_first,
    Deadline deadline
) {
    const auto step =
        fmt::format("migration {} {:04}_{}", set.name, migration.version, migration.name);
    const auto failed = [&](Error error) {
        return tl::unexpected<Error>(with_remedy(std::move(error)).while_doing(step));
    };
    const auto sql = filled_in(migration.sql, set.parameters);
    const bool alone = sql.starts_with(kNoTransaction);
    auto record = Params::of(
        set.name, migration.version, migration.name, migration.checksum(), as_json(set.parameters)
    );
    if (!alone) {
        if (auto begun = co_await connection.run_script("BEGIN", deadline); !begun)
            co_return failed(std::move(begun).error());
    }
    // Only if it is missing: IF NOT EXISTS asks for the right to create all the same. In the first
    // migration's transaction, so that one which fails leaves not even our schema.
    if (is_first) {
        if (auto prepared = co_await connection.run_script(kPrepare, deadline); !prepared)
            co_return failed(std::move(prepared).error());
    }
    auto done = co_await connection.run_script(sql, deadline);
    if (!done) co_return failed(std::move(done).error());
    auto recorded = co_await connection.run(kRecord, std::move(record), deadline);
    if (!recorded) co_return failed(std::move(recorded).error());
    if (!alone) {
        if (auto ended = co_await connection.run_script("COMMIT", deadline); !ended)
            co_return failed(std::move(ended).error());
    }
    co_return Result<>();
}

Task<Result<std::vector<MigrationState>>> apply_pending(
    Connection& connection, const std::vector<MigrationSet>& sets, Deadline deadline
) {
    TXS_CO_TRY(const bool has_table, co_await look_at_place(connection, deadline));
    bool is_first = !has_table;
    TXS_CO_TRY(const auto applied, co_await read_applied(connection, deadline));
    for (const auto& set : sets) TXS_CO_CHECK(check_known(set, applied));
    std::vector<MigrationState> done;
    for (const auto& set : sets) {
        for (const auto& migration : set.migrations) {
            if (find(applied, set.name, migration.version)) continue;
            auto result = co_await apply(
                connection, set, migration, std::exchange(is_first, false), deadline
            );
            if (!result) {
                // The session may be inside the failed transaction.
                if (connection.is_open() && connection.in_transaction())
                    (void)co_await connection.run_script("ROLLBACK", deadline);
                co_return tl::unexpected<Error>(std::move(result).error());
            }
            done.push_back({set.name, migration.version, migration.name, true, {}});
        }
    }
    co_return done;
}

}  // namespace

std::string Migration::checksum() const {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    const int ok = EVP_Digest(sql.data(), sql.size(), digest.data(), &size, EVP_sha256(), nullptr);
    TXS_ASSERT(ok == 1, "OpenSSL has SHA-256");
    return to_hex({digest.data(), size});
}

Result<MigrationSet> make_migration_set(
    std::string name, const std::vector<std::pair<std::string_view, std::string_view>>& files
) {
    MigrationSet set;
    set.name = std::move(name);
    for (const auto& [file, sql] : files) {
        Migration migration;
        const auto* const end = file.data() + file.size();
        const auto [rest, error] = std::from_chars(file.data(), end, migration.version);
        const std::string_view tail(rest, static_cast<std::size_t>(end - rest));
        if (error != std::errc() || !tail.starts_with('_') || !tail.ends_with(".sql")) {
            return fail(
                Code::invalid_input,
                fmt::format("migration file {} is not named NNNN_what.sql", file)
            );
        }
        migration.name = tail.substr(1, tail.size() - 5);
        migration.sql = sql;
        if (std::ranges::any_of(sql, [](char c) { return static_cast<signed char>(c) < 0; })) {
            return fail(
                Code::invalid_input,
                fmt::format(
                    "migration file {} is not in ASCII: a database in another encoding refuses it, "
                    "with another reason than its own",
                    file
                )
            );
        }
        set.migrations.push_back(std::move(migration));
    }
    std::ranges::sort(set.migrations, {}, &Migration::version);
    for (std::size_t i = 0; i < set.migrations.size(); ++i) {
        if (set.migrations[i].version != static_cast<int>(i) + 1) {
            return fail(
                Code::invalid_input,
                fmt::format("migrations of {} have a gap or a double at {:04}", set.name, i + 1)
            );
        }
    }
    return set;
}

Task<Result<std::vector<MigrationState>>> migrate_up(
    Connection& connection, std::vector<MigrationSet> sets, Deadline deadline
) {
    TXS_CO_CHECK(co_await lock(connection, deadline));
    auto done = co_await apply_pending(connection, sets, deadline);
    if (connection.is_open()) {
        auto unlocked = co_await connection.run(kUnlock, Params(), deadline);
        // The lock ends with the session at the latest.
        if (done && !unlocked) co_return tl::unexpected<Error>(std::move(unlocked).error());
    }
    co_return done;
}

Task<Result<std::vector<MigrationState>>> migration_status(
    Connection& connection, std::vector<MigrationSet> sets, Deadline deadline
) {
    TXS_CO_TRY(const auto applied, co_await read_applied(connection, deadline));
    std::vector<MigrationState> states;
    for (const auto& set : sets) {
        for (const auto& migration : set.migrations) {
            const auto* found = find(applied, set.name, migration.version);
            states.push_back(
                {set.name,
                 migration.version,
                 migration.name,
                 found != nullptr,
                 found ? found->at : ""}
            );
        }
        for (const auto& one : applied) {
            if (one.set == set.name && one.version > static_cast<int>(set.migrations.size()))
                states.push_back({one.set, one.version, one.name, true, one.at});
        }
    }
    co_return states;
}

std::string migration_script(const std::vector<MigrationSet>& sets) {
    std::string script = kPrepare;
    for (const auto& set : sets) {
        for (const auto& migration : set.migrations) {
            const auto sql = filled_in(migration.sql, set.parameters);
            const bool alone = sql.starts_with(kNoTransaction);
            script +=
                fmt::format("\n-- {} {:04}_{}\n", set.name, migration.version, migration.name);
            // As a session of ours has it (detail/session_pins.cpp).
            script += alone ? "" : "BEGIN;\nSET LOCAL search_path = pg_catalog, pg_temp;\n";
            script += sql;
            script += fmt::format(
                R"(

INSERT INTO txstream.schema_migrations
(migration_set, version, name, checksum, parameters)
VALUES ('{}', {}, '{}', '{}', '{}');
)",
                set.name,
                migration.version,
                migration.name,
                migration.checksum(),
                as_json(set.parameters)
            );
            script += alone ? "" : "COMMIT;\n";
        }
    }
    return script;
}

Task<Result<>> check_schema(
    Connection& connection, std::vector<MigrationSet> sets, Deadline deadline
) {
    TXS_CO_TRY(const auto applied, co_await read_applied(connection, deadline));
    for (const auto& set : sets) {
        TXS_CO_CHECK(check_known(set, applied));
        for (const auto& migration : set.migrations) {
            if (find(applied, set.name, migration.version)) continue;
            co_return fail(
                Code::conflict,
                fmt::format(
                    "the schema is older than this txstream: {} {:04}_{} is missing; run "
                    "`txstream migrate up`",
                    set.name,
                    migration.version,
                    migration.name
                ),
                "schema_older"
            );
        }
    }
    co_return Result<>();
}

}  // namespace txstream::pg
