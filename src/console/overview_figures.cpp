#include "console/detail/overview_blockages.hpp"
#include "console/detail/overview_words.hpp"
#include "console/overview.hpp"
#include "domain/timestamp.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>
#include <utility>

namespace txstream::console {

using namespace words;
using namespace std::chrono_literals;
using detail::alive;
using detail::is_history_fresh;

namespace {

constexpr std::chrono::seconds kRateSpan{35};

std::string_view words_for(DatabaseView::State state) {
    switch (state) {
        case DatabaseView::State::ok:
            return "connected";
        case DatabaseView::State::away:
            return "does not answer";
        case DatabaseView::State::read_only:
            return "takes no writes";
        case DatabaseView::State::no_outbox:
            return "has no outbox";
        case DatabaseView::State::denied:
            return "may not be read";
    }
    return "";
}

std::optional<Moment> read_time(const nlohmann::json& json) {
    if (!json.is_string()) return std::nullopt;
    return domain::parse_rfc3339(json.get<std::string>());
}

}  // namespace

std::string_view to_string(Remedy::Kind kind) {
    switch (kind) {
        case Remedy::Kind::command:
            return "command";
        case Remedy::Kind::sql:
            return "sql";
        case Remedy::Kind::text:
            return "text";
    }
    return "";
}

std::vector<Blocked> read_blocked(const std::string& json) {
    std::vector<Blocked> all;
    const auto parsed = nlohmann::json::parse(json, nullptr, false);
    if (!parsed.is_array()) return all;
    for (const auto& one : parsed) {
        if (!one.is_object() || !one.contains("code") || !one["code"].is_string()) continue;
        Blocked blocked{
            .code = one["code"].get<std::string>(), .since = {}, .detail = {}, .lanes = {}
        };
        if (one.contains("since")) blocked.since = read_time(one["since"]);
        if (one.contains("detail") && one["detail"].is_string())
            blocked.detail = one["detail"].get<std::string>();
        const auto lanes = one.find("lanes");
        if (lanes != one.end() && lanes->is_array()) {
            for (const auto& lane : *lanes) {
                if (!lane.is_object() || !lane.contains("lane") ||
                    !lane["lane"].is_number_integer())
                    continue;
                const auto topic = lane.find("topic");
                blocked.lanes.push_back(
                    {LaneId(lane["lane"].get<std::int16_t>()),
                     topic != lane.end() && topic->is_string() ? topic->get<std::string>()
                                                               : std::string()}
                );
            }
        }
        all.push_back(std::move(blocked));
    }
    return all;
}

std::vector<SlowTopic> slow_topics(const std::vector<outbox::SeenMember>& members) {
    std::map<std::string, SlowTopic> all;
    for (const auto& seen : members) {
        if (!seen.is_alive()) continue;
        const auto parsed = nlohmann::json::parse(seen.member.topics, nullptr, false);
        if (!parsed.is_array()) continue;
        for (const auto& one : parsed) {
            if (!one.is_object() || !one.contains("name") || !one["name"].is_string()) continue;
            const auto text = [&](const char* name) {
                return one.contains(name) && one[name].is_string() ? one[name].get<std::string>()
                                                                   : std::string();
            };
            const auto number = [&](const char* name) {
                return one.contains(name) && one[name].is_number_unsigned()
                           ? one[name].get<std::uint64_t>()
                           : std::uint64_t{0};
            };
            const auto time = [&](const char* name) {
                return one.contains(name) ? read_time(one[name]) : std::nullopt;
            };
            const bool is_closed = text("state") == "closed";
            auto& topic = all[text("name")];
            const bool is_worse = topic.relays.empty() || (is_closed && !topic.is_closed);
            const bool is_like = !is_worse && is_closed == topic.is_closed;
            if (is_worse) {
                topic.name = text("name");
                topic.is_closed = is_closed;
                topic.error = text("error");
                topic.since = time("since");
                topic.until = time("until");
                topic.next_try = time("next_try");
            } else if (is_like) {
                if (const auto since = time("since"); since && topic.since)
                    topic.since = std::min(*topic.since, *since);
                const auto until = time("until");
                topic.until = until && topic.until ? std::optional(std::max(*topic.until, *until))
                                                   : std::nullopt;
                if (const auto next = time("next_try"); next)
                    topic.next_try = std::min(topic.next_try.value_or(*next), *next);
            }
            topic.events += number("events");
            topic.keys += number("keys");
            topic.relays.push_back(seen.member.name);
        }
    }
    std::vector<SlowTopic> sorted;
    for (const bool is_closed : {true, false})
        for (const auto& [name, topic] : all)
            if (topic.is_closed == is_closed) sorted.push_back(topic);
    return sorted;
}

std::vector<std::string> differing_settings(const std::vector<const outbox::Member*>& members) {
    std::map<std::string, std::set<std::string>> values;
    std::map<std::string, std::size_t> times;
    for (const auto* member : members) {
        for (const auto& [name, value] : settings_of(*member)) {
            values[name].insert(value);
            ++times[name];
        }
    }
    std::vector<std::string> names;
    for (const auto& [name, found] : values)
        if (found.size() > 1 || times[name] != members.size()) names.push_back(name);
    return names;
}

Numbers numbers_of(const OverviewState& state) {
    Numbers numbers;
    if (!is_history_fresh(state)) return numbers;
    const auto& newest = state.history.front();
    numbers.pending = newest.pending;
    numbers.pending_is_exact = !newest.is_estimate;
    if (newest.oldest_pending_ms && newest.pending > 0) {
        // It has grown older since, where it still waits.
        numbers.oldest_s = static_cast<double>(*newest.oldest_pending_ms) / 1000;
    }
    const outbox::HistorySlot* before = nullptr;
    for (const auto& slot : state.history) {
        if (newest.at - slot.at > kRateSpan) break;
        if (newest.at - slot.at >= 5s) before = &slot;
    }
    if (before == nullptr) return numbers;
    const std::chrono::duration<double> time = newest.at - before->at;
    const auto per_second = [&](std::int64_t now, std::int64_t then) {
        return static_cast<double>(std::max<std::int64_t>(now - then, 0)) / time.count();
    };
    numbers.published_per_s = per_second(newest.settled, before->settled);
    numbers.appended_per_s = per_second(newest.appended, before->appended);
    return numbers;
}

std::vector<Dot> dots_of(const OverviewState& state) {
    using enum Severity;
    std::vector<Dot> dots;
    const bool has_database = state.database.state == DatabaseView::State::ok;
    dots.push_back(
        {"postgresql", has_database ? ok : bad, std::string(words_for(state.database.state)), {}}
    );

    const auto causes = causes_of(state);
    const auto has = [&](std::string_view code) {
        return std::ranges::find(causes, code, &Cause::code) != causes.end();
    };
    const auto living = alive(state);
    if (has("kafka_unavailable")) {
        dots.push_back({"kafka", bad, "does not acknowledge", {}});
    } else if (state.kafka.state == KafkaView::State::away) {
        dots.push_back({"kafka", warn, "not reachable from this console", {}});
    } else if (has("topic_missing") || has("topic_refused")) {
        dots.push_back(
            {"kafka", has("topic_missing") ? bad : warn, "a topic is missing or refuses", {}}
        );
    } else {
        const bool is_ok = state.kafka.state == KafkaView::State::ok;
        dots.push_back({"kafka", is_ok ? ok : info, is_ok ? "connected" : "not asked yet", {}});
    }

    const auto& now = state.situation;
    if (!has_database) {
        dots.push_back({"relay", info, "unknown", {}});
        dots.push_back({"breaker", info, "unknown", {}});
        return dots;
    }
    const auto bad_of_relay = std::ranges::find_if(causes, [](const auto& one) {
        return one.severity == bad && one.code != "kafka_unavailable";
    });
    const auto relays = fmt::format(
        "{}, {} of {} lanes", counted(living.size(), "relay"), now.lanes_owned, now.lanes
    );
    const auto severity = bad_of_relay != causes.end()  ? bad
                          : now.lanes_owned < now.lanes ? warn
                                                        : ok;
    dots.push_back(
        {"relay",
         severity,
         living.empty() ? "none running" : relays,
         {{"relays", std::to_string(living.size())},
          {"lanes_owned", std::to_string(now.lanes_owned)},
          {"lanes", std::to_string(now.lanes)}}}
    );
    std::string worst = "closed";
    for (const auto* one : living) {
        if (one->member.breaker == "open" ||
            (one->member.breaker == "half_open" && worst == "closed"))
            worst = one->member.breaker;
    }
    dots.push_back(
        {"breaker",
         living.empty()      ? info
         : worst == "closed" ? ok
         : worst == "open"   ? bad
                             : warn,
         living.empty()         ? "unknown"
         : worst == "half_open" ? "half-open"
                                : worst,
         {}}
    );
    return dots;
}

std::vector<CheckItem> checklist_of(const OverviewState& state) {
    using Kind = Remedy::Kind;
    const auto is = [&](DatabaseView::State one) { return state.database.state == one; };
    const bool is_reached = !is(DatabaseView::State::away);
    const bool is_migrated =
        is(DatabaseView::State::ok) && state.database.schema_error.empty() && state.looked_at;
    const auto living = alive(state);
    const bool is_relay_running = is_migrated && !living.empty();
    const bool has_published = is_migrated && state.situation.advanced_at.has_value();
    const auto found = state.kafka.topics.find(state.topic);
    const bool has_topic = found != state.kafka.topics.end() && found->second.exists;
    std::vector<CheckItem> items;
    items.push_back(
        {"database",
         is_reached,
         is_reached ? "PostgreSQL answers" : "PostgreSQL does not answer: " + state.database.error,
         is_reached
             ? std::nullopt
             : std::optional(Remedy{Kind::text, "Start it, or correct DATABASE_HOST and the login."}
               )}
    );
    items.push_back(
        {"migrations",
         is_migrated,
         is_migrated ? "The outbox is there" : "The outbox is not there, or not of this version",
         is_migrated ? std::nullopt : std::optional(Remedy{Kind::command, "txstream migrate up"})}
    );
    Settings settings;
    if (!living.empty()) settings = settings_of(living.front()->member);
    items.push_back(
        {"topic",
         has_topic,
         has_topic ? fmt::format(
                         "The topic {} exists: {}, replication factor {}",
                         state.topic,
                         counted(static_cast<std::uint64_t>(found->second.partitions), "partition"),
                         found->second.replication_factor
                     )
         : state.kafka.state == KafkaView::State::away
             ? "Kafka does not answer: " + state.kafka.error
             : fmt::format(
                   "The topic {} does not exist; the relay makes it if it may", state.topic
               ),
         has_topic ? std::nullopt
         : state.kafka.state == KafkaView::State::away
             ? std::optional(Remedy{Kind::text, "Start it, or correct KAFKA_BROKERS."})
             : std::optional(
                   Remedy{Kind::command, create_topic(settings, state.brokers, state.topic, {})}
               )}
    );
    items.push_back(
        {"relay",
         is_relay_running,
         is_relay_running ? "A relay runs" : "No relay runs",
         is_relay_running ? std::nullopt : std::optional(Remedy{Kind::command, "txstream relay"})}
    );
    items.push_back(
        {"first_event",
         has_published,
         has_published ? "Events were published" : "No event was published yet",
         has_published
             ? std::nullopt
             : std::optional(Remedy{
                   Kind::sql,
                   "SELECT txstream.publish('Test', 'key-1', 'Tested', '{\"hello\": \"world\"}')"
               })}
    );
    if (std::ranges::all_of(items, &CheckItem::is_done)) items.clear();
    return items;
}

}  // namespace txstream::console
