#include "console/detail/overview_notices.hpp"

#include "console/detail/overview_blockages.hpp"
#include "console/detail/overview_words.hpp"
#include "console/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace txstream::console::detail {

using namespace words;
using namespace std::chrono_literals;

namespace {

using State = OverviewState;

constexpr std::chrono::minutes kLossIsNews{15};

std::string_view how_lost(std::string_view how) {
    if (how == "lease_expired")
        return "could not prolong its lease in time (PostgreSQL did not answer, or the process was "
               "paused)";
    if (how == "taken_over") return "was told that another relay has its lanes";
    return "lost its session with PostgreSQL";
}

}  // namespace

// Nothing stands still; a topic that is slow may be why others say so.
void add_careful_topics(const State& state, std::vector<Cause>& causes) {
    std::vector<SlowTopic> careful;
    for (auto& one : slow_topics(state.members))
        if (!one.is_closed) careful.push_back(std::move(one));
    if (careful.empty()) return;
    Cause cause;
    cause.code = "topic_careful";
    cause.severity = Severity::info;
    std::vector<std::string> names;
    std::set<std::string> errors;
    std::optional<Moment> until;
    outbox::Waiting waiting;
    for (const auto& one : careful) {
        names.push_back(one.name);
        if (!one.error.empty()) errors.insert(one.error);
        if (one.since) cause.since = std::min(cause.since.value_or(*one.since), *one.since);
        if (one.until) until = std::max(until.value_or(*one.until), *one.until);
        waiting.events += one.events;
        waiting.keys += one.keys;
    }
    constexpr std::size_t kShown = 5;
    const auto more = names.size() > kShown ? names.size() - kShown : 0;
    names.resize(names.size() - more);
    cause.params = {
        {"topic", fmt::format("{}", fmt::join(names, ", "))},
        {"more", std::to_string(more)},
        {"error", fmt::format("{}", fmt::join(errors, ", "))},
        {"events", std::to_string(waiting.events)},
        {"keys", std::to_string(waiting.keys)}
    };
    if (until) cause.params["until"] = rfc3339(*until);
    cause.text = fmt::format(
        "Records of `{}`{} are sent one of a key at a time{}: Kafka refused some{}. All others of "
        "the topic are delivered, more slowly{}{}.",
        fmt::join(names, "`, `"),
        more > 0 ? fmt::format(" and {} more topics", more) : "",
        cause.since ? " for " + spoken(between(*cause.since, state.now)) : "",
        errors.empty() ? "" : fmt::format(" ({})", fmt::join(errors, ", ")),
        until ? "; the fast path is used again in " + spoken(between(state.now, *until)) : "",
        waiting.events == 0
            ? ""
            : ". " + counted(waiting.events, "event") + " of " + counted(waiting.keys, "key") +
                  (waiting.events == 1 ? " takes its" : " take their") + " turn"
    );
    cause.link = "/relays";
    causes.push_back(std::move(cause));
}

void add_lost_leases(const State& state, std::vector<Cause>& causes) {
    for (const auto* one : alive(state)) {
        const auto& member = one->member;
        if (!member.lease_lost_at || state.now - *member.lease_lost_at > kLossIsNews) continue;
        causes.push_back({
            .code = "lease_lost",
            .severity = Severity::info,
            .since = member.lease_lost_at,
            .params =
                {{"name", name_of(*one)},
                 {"how", member.lease_lost_how},
                 {"times", std::to_string(member.leases_lost)}},
            .text = fmt::format(
                "Relay {} lost lanes {} ago: it {}. It claims lanes again; at most what it had in "
                "flight is sent twice.",
                name_of(*one),
                spoken(between(*member.lease_lost_at, state.now)),
                how_lost(member.lease_lost_how)
            ),
            .remedy = std::nullopt,
            .link = "/relays",
        });
        return;  // the newest member's says enough
    }
}

// Somebody's transaction; it concerns the relays too, and they say what it does to them.
void add_locks(const State& state, std::vector<Cause>& causes) {
    const auto& database = state.database;
    if (!database.is_locked || database.state != DatabaseView::State::ok) return;
    Cause cause;
    cause.code = "tables_locked";
    cause.severity = Severity::warn;
    std::set<std::string> tables;
    std::set<std::int64_t> pids;
    std::string who;
    for (const auto& one : database.locks) {
        tables.insert(one.table);
        pids.insert(one.pid);
        if (one.since) cause.since = std::min(cause.since.value_or(*one.since), *one.since);
        if (who.empty() && !one.application.empty()) who = one.application;
    }
    const auto names = fmt::format("{}", fmt::join(tables, ", "));
    cause.params = {
        {"tables", names}, {"pids", fmt::format("{}", fmt::join(pids, ", "))}, {"application", who}
    };
    if (tables.empty()) {
        cause.text =
            "A table of the outbox was locked for longer than this console waits. What it says is "
            "shown as it was before.";
    } else {
        cause.text = fmt::format(
            "{} {} locked{} by PostgreSQL session {}{}. What {} say{} is shown as it was before; "
            "what is committed is safe.",
            names,
            tables.size() == 1 ? "is" : "are",
            cause.since ? " for " + spoken(between(*cause.since, state.now)) : "",
            fmt::join(pids, ", "),
            who.empty() ? "" : " (" + who + ")",
            tables.size() == 1 ? "it" : "they",
            tables.size() == 1 ? "s" : ""
        );
        cause.remedy = Remedy{Remedy::Kind::sql, who_locks(names)};
    }
    causes.push_back(std::move(cause));
}

}  // namespace txstream::console::detail
