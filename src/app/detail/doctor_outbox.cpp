#include "app/detail/doctor_judges.hpp"
#include "console/overview.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace txstream::app::detail {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds kOverdue{24h};
constexpr std::chrono::seconds kWaitingAge{60};
constexpr std::size_t kReportsShown = 5;

std::string waiting(std::uint64_t events) {
    return events == 1 ? "1 event waits" : fmt::format("{} events wait", events);
}

std::size_t alive(const std::vector<outbox::SeenMember>& members) {
    return static_cast<std::size_t>(std::ranges::count_if(members, [](const auto& one) {
        return one.is_alive();
    }));
}

}  // namespace

// --- the outbox

Findings judge_schema(const Facts& facts) {
    const auto& schema = facts.database.schema;
    // Comparing makes schemas, which a login for one role need not be allowed.
    if (schema && !*schema && schema->error().origin() == "42501")
        return {finding(
            Level::note,
            "the migrations are applied; the tables were not compared, as this login may not make "
            "schemas",
            "txstream migrate validate as the owner of the tables"
        )};
    return over(
        schema,
        "PostgreSQL",
        "txstream migrate up; txstream migrate status",
        [](const std::vector<std::string>& differences) -> Findings {
            if (differences.empty()) return {ok("the tables are as this txstream makes them")};
            return {finding(
                Level::problem,
                fmt::format("the tables differ: {}", first_of(differences)),
                "txstream migrate validate shows all of it"
            )};
        }
    );
}

Findings judge_structure(const Facts& facts) {
    return over(
        facts.database.structure,
        "PostgreSQL, or the outbox in it,",
        "undo it; txstream migrate validate",
        []() -> Findings { return {ok("no committed event can be passed over")}; }
    );
}

Findings judge_identity(const Facts& facts) {
    return in_database(facts.database.refusal, [](const std::string& why) -> Findings {
        if (why.empty()) return {ok("the outbox is this database's own")};
        return {finding(
            Level::problem,
            why + ": nothing is published until that is decided",
            "txstream outbox rebase --dry-run"
        )};
    });
}

Findings judge_sequence(const Facts& facts) {
    return in_database(facts.database.ids_drawn_at_once, [](std::int64_t drawn) -> Findings {
        if (drawn == 1) return {ok("ids of events are drawn one by one")};
        return {finding(
            Level::problem,
            fmt::format(
                "each session draws {} ids of events at once: later events have lower ids, and are "
                "published out of order",
                drawn
            ),
            "ALTER SEQUENCE txstream.outbox_id_seq CACHE 1"
        )};
    });
}

Findings judge_rights(const Facts& facts) {
    using All = std::vector<outbox::MissingRights>;
    return in_database(facts.database.rights, [&](const All& missing) -> Findings {
        Findings found;
        for (const auto& one : missing) {
            if (std::ranges::find(facts.roles, one.role) == facts.roles.end()) continue;
            const auto role = one.role == "relay"     ? "txstream_relay"
                              : one.role == "console" ? "txstream_reader"
                                                      : "txstream_writer, txstream_reader";
            found.push_back(finding(
                Level::problem,
                fmt::format("the login lacks what {} needs: {}", one.role, one.rights),
                fmt::format("GRANT {} TO it (docs/schema.md, \"Rights\")", role)
            ));
        }
        if (found.empty())
            found.push_back(ok(fmt::format("it has the rights of {}", fmt::join(facts.roles, ", ")))
            );
        return found;
    });
}

Findings judge_retention(const Facts& facts) {
    const auto& database = facts.database;
    return in_database(database.retention, [&](const outbox::RetentionState& state) -> Findings {
        if (database.retention_age.count() == 0)
            return {finding(
                Level::note,
                "OUTBOX_RETENTION is 0: published events are kept for ever",
                "set it, or delete partitions yourself"
            )};
        const auto overdue = state.overdue(database.retention_age);
        if (overdue < kOverdue) return {ok("what is old is dropped")};
        return {finding(
            Level::warning,
            fmt::format(
                "the oldest partition is {} past its age: {}",
                text_of(overdue),
                outbox::why_kept(state)
            ),
            "txstream outbox prune --dry-run"
        )};
    });
}

Findings judge_size(const Facts& facts) {
    return in_database(facts.database.sizes, [&](const outbox::TableSizes& sizes) -> Findings {
        constexpr double kMega = 1e6;
        auto text = fmt::format(
            "the outbox has {:.1f} MB in {} partitions, dead letters {:.1f}, positions {:.1f}",
            static_cast<double>(sizes.outbox_bytes) / kMega,
            sizes.partitions,
            static_cast<double>(sizes.dead_letters_bytes) / kMega,
            static_cast<double>(sizes.positions_bytes) / kMega
        );
        const auto& retention = facts.database.retention;
        if (retention && *retention && !(*retention)->filled.empty())
            text += fmt::format(
                "; the oldest partition with events ended {} ago",
                text_of((*retention)->oldest_age())
            );
        return {ok(std::move(text))};
    });
}

Findings judge_letters(const Facts& facts) {
    return in_database(facts.database.backlog, [](const outbox::Backlog& backlog) -> Findings {
        if (backlog.parked == 0) return {ok("no event is parked")};
        return {finding(
            Level::note,
            fmt::format("{} events are parked, and hold their keys", backlog.parked),
            "txstream dead-letters groups"
        )};
    });
}

// --- relays

Findings judge_relays(const Facts& facts) {
    const auto& database = facts.database;
    using All = std::vector<outbox::SeenMember>;
    return in_database(database.members, [&](const All& members) -> Findings {
        const auto count = alive(members);
        if (count > 0)
            return {ok(fmt::format(
                "{} alive", count == 1 ? "1 relay is" : fmt::format("{} relays are", count)
            ))};
        const bool has_waiting =
            database.backlog && *database.backlog && (*database.backlog)->pending > 0;
        return {finding(
            has_waiting ? Level::problem : Level::note,
            has_waiting
                ? fmt::format("no relay is alive, and {}", waiting((*database.backlog)->pending))
                : "no relay is alive; no event waits",
            "txstream relay, or txstream serve"
        )};
    });
}

Findings judge_blocked(const Facts& facts) {
    using All = std::vector<outbox::SeenMember>;
    return in_database(facts.database.members, [](const All& members) -> Findings {
        Findings found;
        for (const auto& seen : members) {
            if (!seen.is_alive()) continue;
            for (const auto& blocked : console::read_blocked(seen.member.blockages))
                found.push_back(finding(
                    Level::problem,
                    fmt::format(
                        "the relay {} reports {}{}{}",
                        seen.member.name,
                        blocked.code,
                        blocked.detail.empty() ? "" : ": ",
                        blocked.detail
                    ),
                    "docs/runbook has a page for it"
                ));
            if (found.size() >= kReportsShown) break;
        }
        if (found.empty()) found.push_back(ok("no relay reports that anything holds it up"));
        return found;
    });
}

Findings judge_waiting(const Facts& facts) {
    const auto& server = facts.database.server;
    return in_database(facts.database.backlog, [&](const outbox::Backlog& backlog) -> Findings {
        if (backlog.pending == 0 || backlog.oldest_pending <= 0 || !server || !*server)
            return {ok("no event waits")};
        const std::chrono::duration<double> now = (*server)->now.time_since_epoch();
        const auto age =
            std::chrono::seconds(static_cast<std::int64_t>(now.count() - backlog.oldest_pending));
        const auto text = fmt::format(
            "{}{} events wait, the oldest for {}",
            backlog.is_estimate ? "about " : "",
            backlog.pending,
            text_of(std::max(age, 0s))
        );
        if (age < kWaitingAge) return {ok(text)};
        return {finding(Level::warning, text, "txstream outbox list --status pending")};
    });
}

}  // namespace txstream::app::detail
