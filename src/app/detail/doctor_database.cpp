#include "app/detail/doctor_judges.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

namespace txstream::app::detail {

namespace {

using namespace std::chrono_literals;

// The first that has what is used, and the first that nobody had when this was written.
constexpr int kOldestVersion = 140000;
constexpr int kNewestVersion = 190000;
constexpr std::chrono::milliseconds kClockNote{1000};
constexpr std::chrono::milliseconds kClockWarning{10'000};
constexpr std::chrono::seconds kSnapshotAge{15min};
constexpr std::chrono::seconds kPreparedAge{10min};
constexpr std::int64_t kIdsLeftMin = 200'000'000;
constexpr double kConnectionsPart = 0.9;

enum class Refusal : std::uint8_t { unreachable, login, tls, pooler, read_only, missing };

Refusal refusal_of(const Error& error) {
    const auto& origin = error.origin();
    if (origin.starts_with("28") || origin == "42501") return Refusal::login;
    if (origin == "TLS") return Refusal::tls;
    if (origin == "shared_session") return Refusal::pooler;
    if (origin == "25006") return Refusal::read_only;
    if (origin == "3D000") return Refusal::missing;
    return Refusal::unreachable;
}

/// What one of the checks of the connection says: the error, if it is of its kind.
Findings judge_connection(
    const Facts& facts,
    std::initializer_list<Refusal> kinds,
    std::string_view well,
    std::string_view remedy
) {
    const auto& database = facts.database;
    if (!database.session) return skipped("the configuration is wrong");
    if (*database.session) return {ok(std::string(well))};
    const auto& error = database.session->error();
    if (std::ranges::find(kinds, refusal_of(error)) == kinds.end())
        return skipped("PostgreSQL cannot be used");
    return {finding(Level::problem, error.what(), std::string(remedy))};
}

}  // namespace

// --- configuration

Findings judge_config(const Facts& facts) {
    Findings found;
    for (const auto& one : facts.config_problems)
        found.push_back(finding(Level::problem, one, "correct it; txstream config check"));
    if (found.empty()) found.push_back(ok("the configuration is right"));
    return found;
}

Findings judge_advice(const Facts& facts) {
    Findings found;
    for (const auto& one : facts.config_advice) found.push_back(finding(Level::warning, one));
    if (found.empty()) found.push_back(ok("no setting is without effect or doubtful"));
    return found;
}

// --- PostgreSQL

Findings judge_reach(const Facts& facts) {
    return judge_connection(
        facts,
        {Refusal::unreachable, Refusal::missing},
        fmt::format("PostgreSQL answers ({})", facts.database.where),
        "DATABASE_HOST, DATABASE_PORT and DATABASE_NAME say where it is"
    );
}
Findings judge_login(const Facts& facts) {
    return judge_connection(
        facts,
        {Refusal::login},
        "the login is accepted",
        "DATABASE_USER, DATABASE_PASSWORD or DATABASE_PASSWORD_FILE, and the server's pg_hba.conf"
    );
}
Findings judge_tls(const Facts& facts) {
    return judge_connection(
        facts,
        {Refusal::tls},
        "the session is as DATABASE_SSL_MODE wants it",
        "DATABASE_SSL_MODE, and sslrootcert in DATABASE_URL"
    );
}
Findings judge_pooler(const Facts& facts) {
    return judge_connection(
        facts,
        {Refusal::pooler},
        "each session has a server process of its own",
        "connect directly, or through a pool in session mode"
    );
}

Findings judge_recovery(const Facts& facts) {
    const auto& session = facts.database.session;
    if (session && !*session)
        return judge_connection(
            facts, {Refusal::read_only}, "", "name the primary in DATABASE_HOST"
        );
    return in_database(facts.database.server, [](const outbox::ServerFacts& server) -> Findings {
        if (server.is_in_recovery)
            return {finding(
                Level::problem,
                "the server is a standby: its snapshots hide running transactions",
                "name the primary in DATABASE_HOST"
            )};
        if (server.is_read_only)
            return {finding(
                Level::problem,
                "default_transaction_read_only is on: nothing can be written",
                "ALTER SYSTEM, DATABASE or ROLE ... RESET default_transaction_read_only"
            )};
        return {ok("the server takes writes")};
    });
}

Findings judge_version(const Facts& facts) {
    return in_database(facts.database.server, [](const outbox::ServerFacts& server) -> Findings {
        const auto text = fmt::format("PostgreSQL {}", server.version_text);
        if (server.version < kOldestVersion)
            return {finding(
                Level::problem,
                text + " is older than what is supported",
                "PostgreSQL 14 or newer is needed"
            )};
        if (server.version >= kNewestVersion)
            return {finding(Level::note, text + " is newer than this txstream")};
        return {ok(text)};
    });
}

Findings judge_durability(const Facts& facts) {
    return in_database(facts.database.server, [](const outbox::ServerFacts& server) -> Findings {
        Findings found;
        if (server.synchronous_commit == "off")
            found.push_back(finding(
                Level::warning,
                "synchronous_commit is off for sessions that do not set it: a writer's event is "
                "visible before it is durable, so a crash may take back what was published",
                "ALTER ROLE the writers SET synchronous_commit = on (TxStream's own sessions do)"
            ));
        if (!server.has_fsync || !server.has_full_page_writes)
            found.push_back(finding(
                Level::warning,
                fmt::format(
                    "{} is off: a crash of the machine may damage the database",
                    server.has_fsync ? "full_page_writes" : "fsync"
                ),
                "turn it on"
            ));
        if (found.empty()) found.push_back(ok("what is committed stays"));
        return found;
    });
}

Findings judge_vacuum(const Facts& facts) {
    return in_database(facts.database.server, [](const outbox::ServerFacts& server) -> Findings {
        if (server.ids_until_wraparound < kIdsLeftMin)
            return {finding(
                Level::problem,
                fmt::format(
                    "{} transaction ids are left until PostgreSQL refuses to write",
                    server.ids_until_wraparound
                ),
                "VACUUM FREEZE the database; database.snapshots says what keeps old rows"
            )};
        if (!server.has_autovacuum)
            return {finding(
                Level::warning,
                "autovacuum is off: the tables beside the outbox grow, and ids run out",
                "ALTER SYSTEM SET autovacuum = on"
            )};
        return {ok("autovacuum is on")};
    });
}

Findings judge_snapshots(const Facts& facts) {
    return in_database(facts.database.server, [](const outbox::ServerFacts& server) -> Findings {
        Findings found;
        const auto look = [&](const std::optional<outbox::Holder>& holder,
                              std::chrono::seconds most,
                              std::string_view remedy) {
            if (!holder || holder->age < most) return;
            found.push_back(finding(
                Level::warning,
                fmt::format(
                    "{} is open for {}: its events are published when it ends, old rows stay, and "
                    "retention may have to wait",
                    holder->name,
                    text_of(holder->age)
                ),
                std::string(remedy)
            ));
        };
        look(server.oldest_snapshot, kSnapshotAge, "end it: pg_terminate_backend(PID)");
        look(server.oldest_prepared, kPreparedAge, "COMMIT PREPARED or ROLLBACK PREPARED it");
        if (found.empty() && !server.sees_sessions)
            found.push_back(finding(
                Level::note,
                "the login does not see what other sessions do",
                fmt::format("GRANT pg_read_all_stats TO {}", server.user)
            ));
        if (found.empty()) found.push_back(ok("no transaction is open for long"));
        return found;
    });
}

Findings judge_clock(const Facts& facts) {
    return in_database(facts.database.server, [&](const outbox::ServerFacts&) -> Findings {
        const auto ahead = facts.database.clock_ahead;
        const auto off = ahead < 0ms ? -ahead : ahead;
        if (off < kClockNote) return {ok("the server's clock and this machine's agree")};
        return {finding(
            off < kClockWarning ? Level::note : Level::warning,
            fmt::format(
                "the server's clock is {:.1f} s {} this machine's: ages and times are wrong by it",
                std::chrono::duration<double>(off).count(),
                ahead > 0ms ? "ahead of" : "behind"
            ),
            "let both follow a time server"
        )};
    });
}

Findings judge_connections(const Facts& facts) {
    return in_database(facts.database.server, [](const outbox::ServerFacts& server) -> Findings {
        const auto text = fmt::format(
            "{} of {} connections are in use", server.connections, server.connections_max
        );
        if (static_cast<double>(server.connections) <
            kConnectionsPart * static_cast<double>(server.connections_max))
            return {ok(text)};
        return {
            finding(Level::warning, text, "raise max_connections, or lower DATABASE_MAX_OPEN_CONNS")
        };
    });
}

}  // namespace txstream::app::detail
