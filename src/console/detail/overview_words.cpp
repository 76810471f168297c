#include "console/detail/overview_words.hpp"

#include "console/commands.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>

namespace txstream::console {

std::string spoken(std::chrono::milliseconds time) {
    using namespace std::chrono;
    const auto seconds = std::max<std::int64_t>(round<std::chrono::seconds>(time).count(), 0);
    const auto two = [](std::int64_t large, const char* unit, std::int64_t small, const char* other
                     ) {
        return small == 0 ? fmt::format("{} {}", large, unit)
                          : fmt::format("{} {} {} {}", large, unit, small, other);
    };
    if (seconds < 120) return fmt::format("{} s", seconds);
    const auto minutes = seconds / 60;
    if (minutes < 60) return fmt::format("{} min", minutes);
    if (minutes < 48 * 60) return two(minutes / 60, "h", minutes % 60, "min");
    return two(minutes / 60 / 24, "days", minutes / 60 % 24, "h");
}

std::string grouped(std::uint64_t number) {
    auto text = std::to_string(number);
    for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
        text.insert(static_cast<std::size_t>(at), ",");
    return text;
}

}  // namespace txstream::console

namespace txstream::console::words {

std::chrono::milliseconds between(Moment from, Moment to) {
    return std::max(
        std::chrono::round<std::chrono::milliseconds>(to - from), std::chrono::milliseconds(0)
    );
}

std::string counted(std::uint64_t number, std::string_view noun) {
    return fmt::format("{} {}{}", grouped(number), noun, number == 1 ? "" : "s");
}

std::string waits(const outbox::Waiting& waiting) {
    if (waiting.events == 0) return "No event waits";
    return fmt::format(
        "{}{} of {} wait{}",
        waiting.is_exact ? "" : "At least ",
        counted(waiting.events, "event"),
        counted(waiting.keys, "key"),
        waiting.events == 1 ? "s" : ""
    );
}

std::string waits(std::uint64_t events, bool is_exact) {
    if (events == 0) return "No event waits";
    return fmt::format(
        "{}{} wait{}", is_exact ? "" : "About ", counted(events, "event"), events == 1 ? "s" : ""
    );
}

std::string lane_list(const std::vector<Blocked::Lane>& lanes, std::string_view word) {
    constexpr std::size_t kShown = 8;
    std::string text;
    if (!word.empty()) text = fmt::format("{}{} ", word, lanes.size() == 1 ? "" : "s");
    for (std::size_t i = 0; i < lanes.size() && i < kShown; ++i) {
        const bool is_last = i + 1 == lanes.size();
        if (i > 0) text += is_last ? " and " : ", ";
        text += std::to_string(lanes[i].lane.value());
    }
    if (lanes.size() > kShown) text += fmt::format(" and {} more", lanes.size() - kShown);
    return text;
}

std::string own_words(std::string_view error) {
    const auto raw = error.find(" (");
    if (raw == std::string_view::npos || !error.ends_with(')')) return {};
    return std::string(error.substr(0, std::min(raw, error.find_first_of(":;"))));
}

std::string rate(double value) {
    if (value >= 10) return grouped(static_cast<std::uint64_t>(value + 0.5));
    auto text = fmt::format("{:.1f}", value);
    if (text.ends_with(".0")) text.resize(text.size() - 2);
    return text;
}

Settings settings_of(const outbox::Member& member) {
    Settings settings;
    const auto json = nlohmann::json::parse(member.settings, nullptr, false);
    if (!json.is_object()) return settings;
    for (const auto& [name, value] : json.items())
        if (value.is_string()) settings.emplace(name, value.get<std::string>());
    return settings;
}

std::string setting(const Settings& settings, const std::string& name, std::string otherwise) {
    const auto found = settings.find(name);
    return found == settings.end() ? std::move(otherwise) : found->second;
}

std::string name_of(const outbox::SeenMember& member) {
    return fmt::format("{} (pid {})", member.member.host, member.member.pid);
}

std::vector<std::string> names_of(const std::vector<const outbox::SeenMember*>& members) {
    std::vector<std::string> names;
    for (const auto* member : members) names.push_back(name_of(*member));
    return names;
}

std::string sql_name(std::string_view name) {
    std::string text = "\"";
    for (const char c : name) {
        if (c == '"') text += '"';
        text += c;
    }
    return text + "\"";
}

Remedy log_remedy(std::string_view more) {
    return {Remedy::Kind::text, fmt::format("{} The relay's log has the error.", more)};
}

std::string create_topic(
    const Settings& settings,
    const std::string& brokers,
    const std::string& topic,
    std::string_view error
) {
    const auto factor = setting(settings, "KAFKA_TOPIC_REPLICATION_FACTOR", "-1");
    // With as many replicas as it was refused with, it is refused again.
    const bool is_refused = error.find("eplication factor") != std::string_view::npos;
    return create_topic_command(
        setting(settings, "KAFKA_BROKERS", brokers),
        topic,
        setting(settings, "KAFKA_TOPIC_PARTITIONS", "12"),
        factor == "-1" || is_refused ? "" : factor
    );
}

std::string who_locks(std::string_view tables) {
    std::string names;
    for (const char c : tables) {
        if (c == ' ') continue;
        names += c == ',' ? std::string("'::regclass, '") : std::string(1, c);
    }
    return fmt::format(
        "SELECT a.pid, a.usename, a.application_name, a.state, now() - a.xact_start AS age, "
        "left(a.query, 80) "
        "AS query, 'SELECT pg_terminate_backend(' || a.pid || ')' AS to_end_it FROM pg_locks l "
        "JOIN "
        "pg_stat_activity a USING (pid) WHERE l.granted AND l.relation IN ('{}'::regclass) AND "
        "l.mode IN "
        "('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') "
        "ORDER BY a.xact_start",
        names
    );
}

}  // namespace txstream::console::words
