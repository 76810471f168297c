#include "console/overview.hpp"

#include "console/detail/overview_blockages.hpp"
#include "console/detail/overview_notices.hpp"
#include "console/detail/overview_words.hpp"
#include "console/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace txstream::console {

using namespace words;
using detail::add_blockages;
using detail::add_careful_topics;
using detail::add_locks;
using detail::add_lost_leases;
using detail::alive;
using detail::is_history_fresh;
using detail::kHistoryFresh;
using namespace std::chrono_literals;

namespace {

using State = OverviewState;

// Between a relay's start, or death, and the claim of its lanes by another.
constexpr std::chrono::seconds kClaimGrace{10};
// A relay that lives reports at least every six seconds.
constexpr std::chrono::seconds kReportFresh{8};
// What is older is no longer news.
constexpr std::chrono::minutes kDeathIsNews{15};
constexpr double kBehindSeconds = 15;

void add_relays(const State& state, std::vector<Cause>& causes) {
    auto living = alive(state);
    // One that misses a report, and whose leases have ended, is dead before it is called so.
    if (state.situation.lanes_owned == 0 && state.situation.was_ever_owned)
        std::erase_if(living, [](const auto* one) { return one->silent > kReportFresh; });
    const auto& now = state.situation;
    const auto unowned = now.lanes - now.lanes_owned;
    const auto all_wait = state.waiting_in_all
                              ? words::waits(*state.waiting_in_all) + " in the outbox"
                              : "Events wait";
    Cause cause;
    cause.severity = Severity::bad;
    cause.link = "/relays";
    cause.params["lanes"] = std::to_string(now.lanes);
    cause.params["unowned"] = std::to_string(unowned);
    if (living.empty() && state.members.empty() && !now.was_ever_owned) {
        cause.code = "relay_none";
        cause.text = fmt::format(
            "No relay has run yet, so nothing is published. {}; nothing is lost, and delivery "
            "begins when a relay starts.",
            all_wait
        );
        cause.remedy = Remedy{Remedy::Kind::command, "txstream relay"};
    } else if (living.empty() && unowned > 0) {
        cause.code = "relay_gone";
        cause.since = now.unowned_since;
        if (!cause.since && !state.history.empty()) cause.since = state.history.front().at;
        std::string last;
        if (!state.members.empty()) {
            const auto& member = state.members.front();
            last = fmt::format(
                " The last one, {}, was seen {} ago and did not end cleanly.",
                name_of(member),
                spoken(member.silent)
            );
            cause.params["name"] = member.member.name;
            if (!cause.since) cause.since = member.seen_at;
        }
        cause.text = fmt::format(
            "No relay is running, so nothing is published.{} {}; nothing is lost, and delivery "
            "begins when a relay starts.",
            last,
            all_wait
        );
        cause.remedy = Remedy{Remedy::Kind::command, "txstream relay"};
    } else if (unowned > 0 && !living.empty()) {
        const bool is_starting = std::ranges::any_of(living, [&](const auto* one) {
            return between(one->member.started_at, state.now) < kClaimGrace;
        });
        const bool is_young =
            now.unowned_since && between(*now.unowned_since, state.now) < kClaimGrace;
        cause.code = is_starting || is_young ? "lanes_being_claimed" : "lanes_unowned";
        if (is_starting || is_young) cause.severity = Severity::info;
        cause.since = now.unowned_since;
        cause.text = fmt::format(
            "{} of {} lanes have no owner{}: their events wait, {}. The other lanes flow; nothing "
            "is lost.",
            unowned,
            now.lanes,
            cause.since ? " for " + spoken(between(*cause.since, state.now)) : "",
            is_starting || is_young ? "and a relay is about to take them"
                                    : "and no relay takes them"
        );
        if (cause.code == "lanes_unowned")
            cause.remedy = Remedy{
                Remedy::Kind::text,
                "Start another relay (txstream relay), or raise WORKER_MAX_LANES of those that "
                "run; "
                "where neither helps, see their logs."
            };
    } else {
        return;
    }
    // What a living relay says of itself explains why it takes no lanes.
    const bool is_explained =
        std::ranges::any_of(causes, [](const auto& one) { return one.severity == Severity::bad; });
    if (is_explained && !living.empty()) return;
    causes.push_back(std::move(cause));
}

void add_silent_relays(const State& state, std::vector<Cause>& causes) {
    if (alive(state).empty()) return;
    for (const auto& one : state.members) {
        if (one.is_alive() || one.silent > kDeathIsNews) continue;
        causes.push_back({
            .code = "relay_silent",
            .severity = Severity::info,
            .since = one.seen_at,
            .params = {{"name", one.member.name}, {"host", one.member.host}},
            .text = fmt::format(
                "Relay {} was last seen {} ago and did not end cleanly. Other relays run; at most "
                "what it "
                "had in flight is sent twice.",
                name_of(one),
                spoken(one.silent)
            ),
            .remedy = std::nullopt,
            .link = "/relays",
        });
        return;  // the newest one says enough
    }
}

void add_breaker(const State& state, std::vector<Cause>& causes) {
    const bool is_explained = std::ranges::any_of(causes, [](const auto& one) {
        return one.code == "kafka_unavailable" || one.code == "topic_missing";
    });
    if (is_explained) return;
    for (const auto* one : alive(state)) {
        const auto& member = one->member;
        if (member.breaker == "closed") continue;
        const bool is_open = member.breaker == "open";
        Cause cause;
        cause.code = is_open ? "breaker_open" : "breaker_half_open";
        // Where nothing waits there is nothing to probe with: it stays so until events come.
        const bool is_idle = !is_open && numbers_of(state).pending.value_or(1) == 0;
        cause.severity = is_idle ? Severity::info : Severity::warn;
        cause.since = member.breaker_since;
        cause.params["name"] = member.name;
        std::string next;
        if (is_open && member.breaker_probe_at) {
            const auto left = between(state.now, *member.breaker_probe_at);
            next = left > 0ms ? ", next probe in " + spoken(left) : ", about to be probed";
            cause.params["next_probe_at"] = rfc3339(*member.breaker_probe_at);
        }
        cause.text = fmt::format(
            "The circuit breaker of relay {} is {} for {}{}: it {}. Events wait in the outbox; "
            "none is "
            "lost and no attempt is counted.",
            name_of(*one),
            is_open ? "open" : "half-open",
            spoken(between(member.breaker_since, state.now)),
            next,
            is_open ? "pauses, since Kafka failed several times in a row"
                    : "tries whether Kafka acknowledges again"
        );
        cause.link = "/relays";
        causes.push_back(std::move(cause));
        return;
    }
}

void add_differences(const State& state, std::vector<Cause>& causes) {
    std::map<std::string, std::vector<std::string>> versions;
    std::set<std::string> digests;
    std::vector<const outbox::Member*> members;
    for (const auto* one : alive(state)) {
        versions[one->member.version + " " + one->member.revision].push_back(one->member.name);
        digests.insert(one->member.config_digest);
        members.push_back(&one->member);
    }
    if (versions.size() > 1) {
        std::vector<std::string> parts;
        for (const auto& [version, names] : versions)
            parts.push_back(fmt::format("{} ({})", version, fmt::join(names, ", ")));
        causes.push_back({
            .code = "version_differs",
            .severity = Severity::warn,
            .params = {{"versions", fmt::format("{}", fmt::join(parts, "; "))}},
            .text = fmt::format(
                "Relays of {} versions run: {}. Delivery goes on; finish the upgrade.",
                versions.size(),
                fmt::join(parts, "; ")
            ),
            .link = "/relays",
        });
    }
    if (digests.size() > 1) {
        const auto names = differing_settings(members);
        causes.push_back({
            .code = "config_differs",
            .severity = Severity::warn,
            .params = {{"settings", fmt::format("{}", fmt::join(names, ", "))}},
            .text = fmt::format(
                "The relays do not agree in {}: where a record goes, or in which form, depends on "
                "which of "
                "them owns its lane.",
                names.empty() ? std::string("their settings")
                              : fmt::format("{}", fmt::join(names, ", "))
            ),
            .remedy = Remedy{Remedy::Kind::command, "txstream config print"},
            .link = "/relays",
        });
    }
}

void add_parked(const State& state, std::vector<Cause>& causes) {
    std::uint64_t events = 0;
    std::uint64_t recent = 0;
    std::optional<Moment> since;
    for (const auto& one : state.parked.classes) {
        events += one.events;
        recent += one.recent;
        if (!since || one.first_at < *since) since = one.first_at;
    }
    if (events == 0) return;
    const auto& worst =
        recent > 0
            ? *std::ranges::max_element(state.parked.classes, {}, &outbox::ParkedClass::recent)
            : state.parked.classes.front();
    Cause cause;
    cause.code = recent > 0 ? "dead_letters_growing" : "dead_letters";
    cause.severity = Severity::warn;
    cause.since = since;
    cause.params = {
        {"events", std::to_string(events)},
        {"recent", std::to_string(recent)},
        {"exact", state.parked.is_exact ? "true" : "false"},
        {"error_class", worst.error_class}
    };
    const auto how_recent =
        recent == 0       ? std::string()
        : recent < events ? fmt::format(", {} of them parked in the last 10 min", grouped(recent))
                          : fmt::format(", {}parked in the last 10 min", events == 1 ? "" : "all ");
    cause.text = fmt::format(
        "{}{} wait{} for a decision ({}{}){}. {} holds later events of its key; all other keys "
        "flow, and the events are kept whole in txstream.dead_letters.",
        state.parked.is_exact ? "" : "More than ",
        counted(events, "dead letter"),
        events == 1 ? "s" : "",
        state.parked.classes.size() == 1 ? "" : "most: ",
        worst.error_class,
        how_recent,
        events == 1 ? "It" : "Each"
    );
    cause.remedy = Remedy{
        Remedy::Kind::sql,
        "SELECT error_class, event_type, topic, count(*), max(last_attempt_at), min(left(error, "
        "200)) AS error "
        "FROM txstream.dead_letters WHERE state IN ('parked', 'replaying') "
        "GROUP BY error_class, event_type, topic ORDER BY count(*) DESC LIMIT 20"
    };
    cause.link = "/dead-letters";
    causes.push_back(std::move(cause));
}

void add_unmeasured(const State& state, std::vector<Cause>& causes) {
    const auto living = alive(state);
    const bool is_new = std::ranges::all_of(living, [&](const auto* one) {
        return between(one->member.started_at, state.now) < kHistoryFresh;
    });
    if (living.empty() || is_new || is_history_fresh(state)) return;
    const auto since =
        state.history.empty() ? std::nullopt : std::optional(state.history.front().at);
    causes.push_back({
        .code = "backlog_unknown",
        .severity = Severity::warn,
        .since = since,
        .text = fmt::format(
            "What waits has not been measured{}: relays run, and none writes txstream.history. "
            "Delivery itself is not concerned.",
            since ? " for " + spoken(between(*since, state.now)) : ""
        ),
        .remedy = log_remedy("See the log of the relay that owns lane 0."),
        .link = "/relays",
    });
}

void add_behind(const State& state, std::vector<Cause>& causes) {
    const bool is_explained = std::ranges::any_of(causes, [](const auto& one) {
        return one.severity == Severity::bad || one.code == "topic_refused" ||
               one.code == "paused" || one.code == "cannot_park" || one.code == "breaker_open" ||
               one.code == "lanes_being_claimed";
    });
    const auto numbers = numbers_of(state);
    if (is_explained || !numbers.pending || *numbers.pending == 0) return;
    if (numbers.oldest_s.value_or(0) < kBehindSeconds) return;
    const double in = numbers.appended_per_s.value_or(0);
    const double out = numbers.published_per_s.value_or(0);
    const double gain = out - in;
    std::string end = "it does not catch up at this rate";
    if (gain > 0) {
        const auto left = static_cast<double>(*numbers.pending) / gain;
        end = fmt::format(
            "caught up in about {}",
            spoken(std::chrono::milliseconds(static_cast<std::int64_t>(std::min(left, 1e7) * 1000)))
        );
    }
    causes.push_back({
        .code = "relay_behind",
        .severity = Severity::warn,
        .since = state.now -
                 std::chrono::milliseconds(static_cast<std::int64_t>(*numbers.oldest_s * 1000)),
        .params =
            {{"appended_per_s", rate(in)},
             {"published_per_s", rate(out)},
             {"pending", std::to_string(*numbers.pending)},
             {"oldest_s", rate(*numbers.oldest_s)}},
        .text = fmt::format(
            "The relay is behind: {}/s in, {}/s out, {}. {}, the oldest for {}; none is lost, and "
            "order "
            "is kept.",
            rate(in),
            rate(out),
            end,
            words::waits(*numbers.pending, numbers.pending_is_exact),
            spoken(std::chrono::milliseconds(static_cast<std::int64_t>(*numbers.oldest_s * 1000)))
        ),
        .remedy =
            Remedy{
                Remedy::Kind::text,
                "If it does not catch up: see what is busy (relay, PostgreSQL or Kafka); more "
                "relays "
                "share the lanes, and a topic with more partitions takes more."
            },
        .link = "/relays",
    });
}

void add_health(const State& state, std::vector<Cause>& causes) {
    const auto stops = [](const Cause& one) {
        return one.severity == Severity::bad || one.code == "topic_refused" ||
               one.code == "paused" || one.code == "cannot_park" || one.code == "relay_behind" ||
               one.code == "breaker_open" ||
               (one.code == "breaker_half_open" && one.severity == Severity::warn) ||
               one.code == "lanes_being_claimed" || one.code == "backlog_unknown" ||
               one.code == "tables_locked";
    };
    if (std::ranges::any_of(causes, stops)) return;
    const auto numbers = numbers_of(state);
    Cause cause;
    cause.severity = Severity::ok;
    if (!state.situation.newest_event_at) {
        cause.code = "no_events";
        cause.severity = Severity::info;
        cause.text = "Ready: the relay runs, and no event has been written yet.";
        cause.remedy = Remedy{
            Remedy::Kind::sql,
            "SELECT txstream.publish('Test', 'key-1', 'Tested', '{\"hello\": \"world\"}')"
        };
    } else if (!numbers.pending) {
        cause.code = "starting";
        cause.severity = Severity::info;
        cause.text = "A relay has just started; what waits is being measured.";
    } else if (*numbers.pending == 0 && numbers.published_per_s.value_or(0) <= 0) {
        cause.code = "idle";
        const auto& last = state.situation.advanced_at;
        cause.text = last ? fmt::format(
                                "Idle: nothing waits; the last event was published {} ago.",
                                spoken(between(*last, state.now))
                            )
                          : "Idle: nothing waits.";
        if (last) cause.params["last_at"] = rfc3339(*last);
    } else {
        cause.code = "healthy";
        const auto published = rate(numbers.published_per_s.value_or(0));
        cause.params["published_per_s"] = published;
        cause.text = fmt::format("Healthy: {} events/s published", published);
        if (numbers.oldest_s && *numbers.pending > 0) {
            cause.params["oldest_s"] = rate(*numbers.oldest_s);
            cause.text += fmt::format(", oldest pending {} s", rate(*numbers.oldest_s));
        }
        cause.text += ".";
    }
    causes.push_back(std::move(cause));
}

// The console itself.
void add_database(const State& state, std::vector<Cause>& causes) {
    using enum DatabaseView::State;
    const auto& database = state.database;
    Cause cause;
    cause.severity = Severity::bad;
    cause.since = database.since;
    cause.params["error"] = database.error;
    cause.detail = database.error;
    const auto age =
        state.looked_at
            ? fmt::format(" What is shown is {} old.", spoken(between(*state.looked_at, state.now)))
            : std::string();
    if (state.looked_at) cause.params["looked_at"] = rfc3339(*state.looked_at);
    switch (database.state) {
        case away:
            cause.code = "database_away";
            cause.text = fmt::format(
                "This console cannot reach PostgreSQL{}. Whether events are delivered is not known "
                "from here; what was committed is safe.{}",
                cause.since && state.now - *cause.since >= 1s
                    ? " for " + spoken(between(*cause.since, state.now))
                    : "",
                age
            );
            cause.remedy = Remedy{
                Remedy::Kind::text,
                "Start PostgreSQL, or correct DATABASE_HOST, DATABASE_PORT and the login of this "
                "console. "
                "Nothing else needs to be done: it asks again."
            };
            break;
        case read_only:
            cause.code = "database_read_only";
            cause.text = fmt::format(
                "PostgreSQL takes no writes here (a standby, or default_transaction_read_only): "
                "nothing "
                "can be committed and no cursor can move. What was committed is safe.{}",
                age
            );
            cause.remedy = Remedy{
                Remedy::Kind::sql,
                "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')"
            };
            break;
        case no_outbox:
            cause.code = "outbox_missing";
            cause.text = "This database has no outbox yet.";
            cause.remedy = Remedy{Remedy::Kind::command, "txstream migrate up"};
            break;
        case denied:
            cause.code = "console_denied";
            cause.text = "The console's login may not read the outbox. Delivery is not concerned.";
            cause.remedy = Remedy{
                Remedy::Kind::sql,
                fmt::format(
                    "GRANT txstream_reader TO {}",
                    database.user.empty() ? "CURRENT_USER" : sql_name(database.user)
                )
            };
            break;
        case ok:
            if (database.schema_error.empty()) return;
            cause.code = database.is_schema_older ? "migrations_pending" : "schema_differs";
            cause.severity = Severity::warn;
            cause.text =
                database.is_schema_older
                    ? "The database's schema is older than this version: migrations are pending."
                    : "The database's schema is not that of this version: it is newer, or was "
                      "changed.";
            cause.detail = database.schema_error;
            cause.remedy = Remedy{
                Remedy::Kind::command,
                database.is_schema_older ? "txstream migrate up" : "txstream migrate status"
            };
            break;
    }
    causes.push_back(std::move(cause));
}

void add_kafka_view(const State& state, std::vector<Cause>& causes) {
    if (state.kafka.state != KafkaView::State::away) return;
    const bool is_told = std::ranges::any_of(causes, [](const auto& one) {
        return one.code == "kafka_unavailable";
    });
    if (is_told) return;
    const auto why = own_words(state.kafka.error);
    causes.push_back({
        .code = "kafka_away",
        .severity = Severity::info,
        .params = {{"error", state.kafka.error}},
        .text = fmt::format(
            "This console cannot use Kafka{}. {}",
            why.empty() ? "" : ": " + why,
            alive(state).empty() ? "What is committed is safe in the outbox."
                                 : "The relays do not report the same."
        ),
        .detail = state.kafka.error,
        .remedy = Remedy{Remedy::Kind::text, "Check KAFKA_BROKERS and the login of this console."},
        .link = "/brokers",
    });
}

}  // namespace

std::vector<Cause> causes_of(const OverviewState& state) {
    std::vector<Cause> causes;
    add_database(state, causes);
    if (state.looked_at && state.database.state != DatabaseView::State::no_outbox) {
        add_blockages(state, causes);
        add_locks(state, causes);
        // Who has the lanes is not known as of now.
        if (!state.database.is_locked) add_relays(state, causes);
        add_breaker(state, causes);
        add_parked(state, causes);
        add_behind(state, causes);
        add_careful_topics(state, causes);
        if (state.database.state == DatabaseView::State::ok) add_unmeasured(state, causes);
        add_differences(state, causes);
        add_silent_relays(state, causes);
        add_lost_leases(state, causes);
    }
    add_kafka_view(state, causes);
    if (state.looked_at && state.database.state == DatabaseView::State::ok)
        add_health(state, causes);
    // What is about this console, or worse, comes first; the order within is that of above.
    sort_few(causes, [](const auto& left, const auto& right) {
        return left.severity > right.severity;
    });
    return causes;
}

}  // namespace txstream::console
