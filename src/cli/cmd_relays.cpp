#include "cli/look.hpp"
#include "cli/usage.hpp"
#include "console/relays_json.hpp"
#include "outbox/backlog.hpp"

#include <CLI/CLI.hpp>

#include <utility>

namespace txstream::cli {

namespace {

Result<Json> taken(const Json& relays, const char* part) {
    if (relays["is_locked"].get<bool>() && std::string_view(part) == "lanes")
        return fail(
            Code::timed_out,
            "a table that says where the lanes are is locked: txstream relays list shows the rest, "
            "pg_locks who holds it"
        );
    return relays[part];
}

Task<Result<std::vector<Json>>> read(Look look, const char* part) {
    TXS_CO_TRY(const auto relays, co_await console::read_relays(look.session, look.deadline));
    TXS_CO_TRY(const auto rows, taken(relays, part));
    co_return std::vector<Json>(rows.begin(), rows.end());
}

/// A relay that lives counts what waits in each lane. Without one it is counted here.
Task<Result<>> count_pending(Look look, std::vector<Json>& lanes) {
    outbox::BacklogMeter meter;
    TXS_CO_TRY(const auto backlog, co_await meter.measure(look.session, look.deadline));
    for (auto& lane : lanes) {
        const auto place = lane["lane"].get<std::size_t>();
        if (place >= backlog.pending_by_lane.size()) continue;
        lane["pending"] = {
            {"value", std::to_string(backlog.pending_by_lane[place])},
            {"exact", !backlog.is_estimate}
        };
    }
    co_return Result<>();
}

Task<Result<Answer>> lanes(Look look) {
    TXS_CO_TRY(auto rows, co_await read(look, "lanes"));
    if (!rows.empty() && rows.front()["pending"].is_null())
        TXS_CO_CHECK(co_await count_pending(look, rows));
    Answer answer;
    answer.listing = {
        .columns =
            {{"LANE", "/lane", Shown::number},
             {"STATE", "/state_text"},
             {"PENDING", "/pending/value", Shown::number},
             {"OLDEST", "/oldest_at", Shown::ago},
             {"PUBLISHED", "/published", Shown::number},
             {"PARKED", "/parked", Shown::number},
             {"HELD_KEYS", "/held_keys", Shown::number},
             {"ADVANCED", "/advanced_at", Shown::ago},
             {"OWNER", "/owner"},
             {"OWNED", "/owned_since", Shown::ago},
             {"EPOCH", "/epoch", Shown::number},
             {"LEASE_ENDS", "/lease_ends_at", Shown::ago}},
        .rows = std::move(rows)
    };
    co_return answer;
}

constexpr const char* kNoRelay =
    "no relay has written itself down here within a day; txstream relay starts one";

Task<Result<Answer>> relays(Look look) {
    TXS_CO_TRY(auto rows, co_await read(look, "members"));
    Answer answer;
    answer.listing = {
        .columns =
            {{"RELAY", "/name"},
             {"STATE", "/state_text"},
             {"SEEN", "/seen_at", Shown::ago},
             {"STARTED", "/started_at", Shown::ago},
             {"LANES", "/lanes", Shown::number},
             {"OWNED", "/owned_since", Shown::ago},
             {"PENDING", "/pending/value", Shown::number},
             {"OLDEST", "/oldest_at", Shown::ago},
             {"EVENTS/S", "/published_per_s", Shown::number},
             {"BREAKER", "/breaker/state"},
             {"BLOCKED", "/blocked/0/code"},
             {"HOST", "/host"},
             {"PID", "/pid"},
             {"VERSION", "/version"}},
        .rows = std::move(rows),
        .none = kNoRelay
    };
    co_return answer;
}

Task<Result<Answer>> breakers(Look look) {
    TXS_CO_TRY(const auto members, co_await read(look, "members"));
    Answer answer;
    answer.listing = {
        .columns =
            {{"RELAY", "/name"},
             {"STATE", "/state"},
             {"SINCE", "/since", Shown::ago},
             {"FAILURES", "/failures", Shown::number},
             {"OPENS_AT", "/failures_max", Shown::number},
             {"NEXT_PROBE", "/next_probe_at", Shown::ago}},
        .none = "no relay is alive, and so no breaker; txstream relay starts one"
    };
    for (const auto& member : members) {
        if (!member["is_alive"].get<bool>()) continue;
        auto row = Json::object();
        row["name"] = member["name"];
        row.update(member["breaker"]);
        answer.listing.rows.push_back(std::move(row));
    }
    co_return answer;
}

}  // namespace

void add_relays(CLI::App& line, const Globals& globals, Run& run) {
    add_look(
        group(line, "lanes", "Look at the lanes"),
        globals,
        run,
        {"list",
         "Each lane: who owns it since when, what waits in it, and for what",
         "  txstream lanes list\n"
         "  txstream lanes list -o json | jq '.[] | select(.state == \"unowned\") | .lane'\n"},
        lanes
    );
    add_look(
        group(line, "relays", "Look at the relays, pause and resume them"),
        globals,
        run,
        {"list",
         "Each relay of the last day: what it does, its lanes and what waits in them, and what "
         "keeps "
         "it from delivering",
         "  txstream relays list\n"
         "  txstream relays list -o json | jq '.[] | {name, blocked}'\n"},
        relays
    );
    add_look(
        group(line, "breaker", "Look at the circuit breakers"),
        globals,
        run,
        {"status", "The circuit breaker of each relay that lives", "  txstream breaker status\n"},
        breakers
    );
}

}  // namespace txstream::cli
