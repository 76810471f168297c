#include "console/detail/overview_blockages.hpp"

#include "console/commands.hpp"
#include "console/detail/overview_words.hpp"
#include "console/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <set>
#include <utility>

namespace txstream::console::detail {

using namespace words;
using namespace std::chrono_literals;

namespace {

using Member = outbox::SeenMember;
using State = OverviewState;

/// One code of a blockage over all living relays.
struct Trouble {
    std::string code;
    std::vector<const Member*> members;
    std::optional<Moment> since;
    std::string detail;
    std::vector<Blocked::Lane> lanes;
};

bool is_about_replication(std::string_view detail) {
    return detail.find("eplication factor") != std::string_view::npos;
}

std::vector<Trouble> troubles_of(const State& state) {
    std::vector<Trouble> all;
    for (const auto* member : alive(state)) {
        for (auto& one : read_blocked(member->member.blockages)) {
            // With more replicas than brokers answer, a topic cannot be made until more brokers are
            // there: the relay calls that Kafka's absence, and an operator sees a topic that is
            // missing.
            if (one.code == "kafka_unavailable" && is_about_replication(one.detail))
                one.code = "topic_missing";
            auto found = std::ranges::find(all, one.code, &Trouble::code);
            if (found == all.end()) found = all.insert(all.end(), {one.code, {}, {}, {}, {}});
            found->members.push_back(member);
            if (one.since && (!found->since || *one.since < *found->since))
                found->since = one.since;
            if (found->detail.empty()) found->detail = one.detail;
            std::ranges::move(one.lanes, std::back_inserter(found->lanes));
        }
    }
    for (auto& one : all) std::ranges::sort(one.lanes, {}, &Blocked::Lane::lane);
    return all;
}

/// What all sentences of a blockage need.
struct Scene {
    const State& state;
    const Trouble& trouble;
    Settings settings;  ///< of the first relay that has it

    std::string ago() const {
        return trouble.since ? " " + spoken(between(*trouble.since, state.now)) + " ago" : "";
    }
    std::string lasts() const {
        const bool is_new = !trouble.since || state.now - *trouble.since < 1s;
        return is_new ? "" : " for " + spoken(between(*trouble.since, state.now));
    }
    /// Of a topic that accepts nothing the relays know it, and the tables do not: events of other
    /// keys are published behind those that wait.
    std::optional<outbox::Waiting> held() const {
        if (trouble.code != "topic_refused") return std::nullopt;
        outbox::Waiting all;
        for (const auto& topic : slow_topics(state.members)) {
            if (!topic.is_closed) continue;
            all.events += topic.events;
            all.keys += topic.keys;
        }
        return all.events > 0 ? std::optional(all) : std::nullopt;
    }
    std::string waits() const {
        if (const auto all = held()) return words::waits(*all);
        const auto found = state.waiting.find(trouble.code);
        if (found != state.waiting.end()) return words::waits(found->second);
        if (state.waiting_in_all) return words::waits(*state.waiting_in_all);
        const auto numbers = numbers_of(state);
        return numbers.pending ? words::waits(*numbers.pending, numbers.pending_is_exact)
                               : "Events wait";
    }
    std::string lanes() const { return lane_list(trouble.lanes); }
    std::string others() const {
        const auto rest = state.situation.lanes - static_cast<std::int64_t>(trouble.lanes.size());
        return rest > 0 ? fmt::format("; the other {} lanes flow", rest) : "";
    }
    std::string topics() const {
        std::set<std::string> names;
        for (const auto& lane : trouble.lanes)
            if (!lane.topic.empty()) names.insert(lane.topic);
        if (names.empty() && !trouble.detail.empty()) names.insert(trouble.detail);
        return fmt::format("{}", fmt::join(names, ", "));
    }
    std::string first_topic() const { return topics().substr(0, topics().find(',')); }
    const KafkaView::Topic* view_of(const std::string& topic) const {
        const auto found = state.kafka.topics.find(topic);
        return found == state.kafka.topics.end() ? nullptr : &found->second;
    }
};

void tell_database(const Scene& scene, Cause& cause) {
    cause.text = fmt::format(
        "A relay has not been able to use PostgreSQL{}. {}; nothing is lost, and delivery goes on "
        "when it can.",
        scene.lasts(),
        scene.waits()
    );
    cause.remedy =
        log_remedy("Check the relay's way to PostgreSQL (DATABASE_HOST, DATABASE_PORT).");
}

void tell_foreign(const Scene& scene, Cause& cause) {
    const auto& why = scene.state.situation.refused_why;
    cause.text = fmt::format(
        "Publishing stopped{}: the outbox was restored or copied, so its cursors do not say what "
        "was published. {}; nothing is published until an operator decides, so nothing is lost and "
        "nothing goes twice.",
        scene.ago(),
        scene.waits()
    );
    if (!why.empty()) cause.detail = why;
    cause.remedy = Remedy{Remedy::Kind::command, "txstream outbox rebase --dry-run"};
}

void tell_unusable(const Scene& scene, Cause& cause) {
    cause.text = fmt::format(
        "Publishing stopped{}: the tables of the outbox, or the relay's rights on them, are not as "
        "the migration made them. {}; what is committed is safe.",
        scene.ago(),
        scene.waits()
    );
    cause.remedy = Remedy{Remedy::Kind::command, "txstream migrate validate"};
}

void tell_cannot_acknowledge(const Scene& scene, Cause& cause) {
    cause.text = fmt::format(
        "Publishing stopped{}: the cursors cannot be moved. {}; what Kafka has already is not sent "
        "again while this lasts, and nothing is lost.",
        scene.ago(),
        scene.waits()
    );
    cause.remedy = Remedy{Remedy::Kind::sql, who_locks("txstream.leases, txstream.positions")};
}

void tell_cannot_park(const Scene& scene, Cause& cause) {
    cause.text = fmt::format(
        "An event that Kafka refuses could not be put into txstream.dead_letters{} (a trigger, a "
        "missing right, a lock). {} {} as a whole{}. {}; nothing is lost.",
        scene.lasts(),
        scene.lanes(),
        scene.trouble.lanes.size() == 1 ? "waits" : "wait",
        scene.others(),
        scene.waits()
    );
    cause.remedy = Remedy{Remedy::Kind::command, "txstream migrate validate"};
}

void tell_kafka(const Scene& scene, Cause& cause) {
    const auto brokers = setting(scene.settings, "KAFKA_BROKERS");
    std::string breaker;
    for (const auto* member : scene.trouble.members) {
        const auto& probe = member->member.breaker_probe_at;
        if (member->member.breaker != "open" || !probe) continue;
        const auto left = between(scene.state.now, *probe);
        breaker = left > 0ms
                      ? fmt::format(" (circuit breaker open, next probe in {})", spoken(left))
                      : " (circuit breaker open, about to be probed)";
        cause.params["next_probe_at"] = rfc3339(*probe);
        break;
    }
    cause.params["brokers"] = brokers;
    const auto why = own_words(scene.trouble.detail);
    const auto waits = scene.waits();
    cause.text = fmt::format(
        "Publishing stopped{}: Kafka at {} does not acknowledge{}{}. {} until it is back; "
        "nothing is lost and no attempt is counted.",
        scene.ago(),
        brokers,
        why.empty() ? "" : ": " + why,
        breaker,
        waits == "No event waits" ? "New events wait in the outbox" : waits + " in the outbox"
    );
    cause.remedy = Remedy{
        Remedy::Kind::command,
        fmt::format("kafka-broker-api-versions.sh --bootstrap-server {}", shell_word(brokers))
    };
    cause.link = "/brokers";
}

void tell_topic_missing(const Scene& scene, Cause& cause) {
    const auto topic = setting(scene.settings, "KAFKA_TOPIC_EVENTS", scene.state.topic);
    cause.params["topic"] = topic;
    cause.text = fmt::format(
        "Publishing to `{}` stopped{}: the topic does not exist and cannot be made. {} "
        "in the outbox until it exists; nothing is lost.",
        topic,
        scene.ago(),
        scene.waits()
    );
    cause.remedy = Remedy{
        Remedy::Kind::command,
        create_topic(scene.settings, scene.state.brokers, topic, scene.trouble.detail)
    };
    cause.link = "/topics";
}

// What the setting says may not be possible here, what the topic of all events has is.
Settings as_the_main_topic(const Scene& scene) {
    auto settings = scene.settings;
    const auto* view = scene.view_of(setting(settings, "KAFKA_TOPIC_EVENTS", scene.state.topic));
    if (view != nullptr && view->exists)
        settings["KAFKA_TOPIC_REPLICATION_FACTOR"] = std::to_string(view->replication_factor);
    return settings;
}

void tell_topic_refused(const Scene& scene, Cause& cause) {
    const auto topic = scene.first_topic();
    const auto* view = scene.view_of(topic);
    const bool exists = view != nullptr && view->exists;
    const bool is_missing = view != nullptr && !view->exists;
    cause.params["topic"] = scene.topics();
    std::optional<Moment> parked_at;
    for (const auto& one : slow_topics(scene.state.members))
        if (one.is_closed && one.until)
            parked_at = std::min(parked_at.value_or(*one.until), *one.until);
    const auto patience = parked_at ? between(scene.state.now, *parked_at) : 0ms;
    if (parked_at) cause.params["parked_at"] = rfc3339(*parked_at);
    cause.text = fmt::format(
        "Publishing to `{}` stopped{}: the topic {}. Later events of the same keys wait with its "
        "own; everything else flows. {}{}.",
        scene.topics(),
        scene.ago(),
        is_missing ? "does not exist"
        : exists   ? "rejects all writes"
                   : "does not exist or rejects all writes",
        scene.waits(),
        !parked_at        ? ""
        : patience == 0ms ? "; they are being parked as dead letters"
                          : ", and are parked as dead letters in " + spoken(patience)
    );
    if (exists) {
        cause.remedy = Remedy{
            Remedy::Kind::text,
            fmt::format(
                "Grant the relay's user WRITE and DESCRIBE on the topic {}; it is asked again "
                "every "
                "WORKER_TOPIC_RETRY_DELAY.",
                topic
            )
        };
    } else {
        cause.remedy = Remedy{
            Remedy::Kind::command,
            create_topic(as_the_main_topic(scene), scene.state.brokers, topic, {})
        };
    }
    cause.link = exists ? "/topics/" + topic : "/topics";
}

void tell_no_worker(const Scene& scene, Cause& cause) {
    cause.text = fmt::format(
        "Relay {} has had no live worker{}. {}; another relay takes its lanes when their leases "
        "have ended.",
        name_of(*scene.trouble.members.front()),
        scene.lasts(),
        scene.waits()
    );
    cause.remedy = log_remedy("Look into its log, then restart it.");
}

void tell_stalled(const Scene& scene, Cause& cause) {
    cause.text = fmt::format(
        "{}, and none has been published{}; no relay knows why. They are safe in the outbox.",
        scene.waits(),
        scene.lasts()
    );
    cause.remedy = log_remedy(
        "Look into the logs of all relays, and restart the one that owns the "
        "lanes."
    );
    cause.link = "/relays";
}

void tell_paused(const Scene& scene, Cause& cause) {
    cause.text = fmt::format(
        "Delivery is paused{}: {}. {}; what is not paused flows.",
        scene.lasts(),
        scene.trouble.detail,
        scene.waits()
    );
    cause.remedy = Remedy{Remedy::Kind::command, "txstream relays pauses"};
    cause.link = "/relays";
}

struct Telling {
    std::string_view code;
    Severity severity;
    void (*tell)(const Scene&, Cause&);
};
// Worst first. The codes are those of relay::Blockage, which is of a room beside this one.
constexpr std::array kTellings{
    Telling{"foreign_instance", Severity::bad, tell_foreign},
    Telling{"outbox_unusable", Severity::bad, tell_unusable},
    Telling{"topic_missing", Severity::bad, tell_topic_missing},
    Telling{"kafka_unavailable", Severity::bad, tell_kafka},
    Telling{"cannot_acknowledge", Severity::bad, tell_cannot_acknowledge},
    Telling{"database_unavailable", Severity::bad, tell_database},
    Telling{"no_worker", Severity::bad, tell_no_worker},
    Telling{"stalled", Severity::bad, tell_stalled},
    Telling{"topic_refused", Severity::warn, tell_topic_refused},
    Telling{"cannot_park", Severity::warn, tell_cannot_park},
    Telling{"paused", Severity::warn, tell_paused},
};

Cause cause_of(const State& state, const Trouble& trouble) {
    Cause cause;
    cause.code = trouble.code;
    cause.since = trouble.since;
    cause.severity = Severity::bad;
    // Of a topic that is refused, and of what is paused, the sentence has it.
    if (trouble.code != "topic_refused" && trouble.code != "paused") cause.detail = trouble.detail;
    const Scene scene{state, trouble, settings_of(trouble.members.front()->member)};
    const auto telling = std::ranges::find(kTellings, trouble.code, &Telling::code);
    if (telling == kTellings.end()) {
        // A relay of a later version.
        cause.text = fmt::format("A relay reports {}{}.", trouble.code, scene.ago());
    } else {
        telling->tell(scene, cause);
        cause.severity = telling->severity;
    }
    auto& params = cause.params;
    if (!trouble.detail.empty()) params["detail"] = trouble.detail;
    if (!trouble.lanes.empty()) params["lanes"] = lane_list(trouble.lanes, "");
    const auto held = scene.held();
    const auto waiting = state.waiting.find(trouble.code);
    const auto* counted = held                             ? &*held
                          : waiting != state.waiting.end() ? &waiting->second
                          : state.waiting_in_all           ? &*state.waiting_in_all
                                                           : nullptr;
    if (counted != nullptr) {
        params["events"] = std::to_string(counted->events);
        params["keys"] = std::to_string(counted->keys);
        params["exact"] = counted->is_exact ? "true" : "false";
    }
    // One of several: the others deliver.
    const auto living = alive(state);
    const auto others = std::ranges::count_if(living, [&](const auto* member) {
        return !member->member.lanes.empty() &&
               std::ranges::find(trouble.members, member) == trouble.members.end();
    });
    params["relays"] = fmt::format("{}", fmt::join(names_of(trouble.members), ", "));
    if (others > 0 && trouble.lanes.empty()) {
        cause.severity = Severity::warn;
        constexpr std::string_view kAll = "Publishing";
        if (cause.text.starts_with(kAll))
            cause.text.replace(0, kAll.size(), "Publishing of some lanes");
        cause.text += fmt::format(
            " This is what {} {}; {} on.",
            params["relays"],
            trouble.members.size() == 1 ? "reports" : "report",
            others == 1 ? "1 other relay goes" : fmt::format("{} other relays go", others)
        );
    }
    return cause;
}

}  // namespace

std::vector<const Member*> alive(const State& state) {
    std::vector<const Member*> all;
    for (const auto& one : state.members)
        if (one.is_alive()) all.push_back(&one);
    return all;
}

bool is_history_fresh(const State& state) {
    return !state.history.empty() && state.now - state.history.front().at <= kHistoryFresh;
}

void add_blockages(const State& state, std::vector<Cause>& causes) {
    auto troubles = troubles_of(state);
    const auto rank = [](const Trouble& trouble) {
        return std::ranges::find(kTellings, trouble.code, &Telling::code) - kTellings.begin();
    };
    sort_few(troubles, [&](const auto& left, const auto& right) {
        return rank(left) < rank(right);
    });
    for (const auto& trouble : troubles) causes.push_back(cause_of(state, trouble));
    // A relay that does not run cannot say it.
    const bool is_told =
        std::ranges::find(causes, "foreign_instance", &Cause::code) != causes.end();
    if (state.situation.is_foreign && !is_told) {
        const Trouble trouble{"foreign_instance", {}, state.situation.refused_at, {}, {}};
        Cause cause{.code = trouble.code, .severity = Severity::bad, .since = trouble.since};
        tell_foreign({state, trouble, {}}, cause);
        causes.push_back(std::move(cause));
    }
}

}  // namespace txstream::console::detail
