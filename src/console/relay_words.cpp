#include "console/relay_words.hpp"

#include "console/detail/overview_words.hpp"
#include "console/overview.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace txstream::console {

namespace {

using outbox::Moment;
using outbox::SeenMember;

std::string retry_text(std::optional<Moment> at, Moment now) {
    if (!at) return "";
    return *at > now ? ", retry in " + spoken(words::between(now, *at)) : ", retry now";
}

Standing waits_for_kafka(const outbox::Member& member, Moment now) {
    const auto at = member.breaker_probe_at;
    return {"waits_for_kafka", "waits for Kafka" + retry_text(at, now), {}, at};
}

/// A topic that accepts no record: the one that is named, else the first that waits for its repair.
Standing waits_for_topic(const SeenMember& seen, const std::string& named, Moment now) {
    std::vector<SlowTopic> closed;
    for (auto& topic : slow_topics({seen}))
        if (topic.is_closed && topic.next_try) closed.push_back(std::move(topic));
    auto found = std::ranges::find(closed, named, &SlowTopic::name);
    if (found == closed.end() && named.empty()) found = closed.begin();
    auto name = named;
    std::optional<Moment> at;
    if (found != closed.end()) {
        name = found->name;
        at = found->next_try;
    }
    if (name.empty())
        name = words::setting(words::settings_of(seen.member), "KAFKA_TOPIC_EVENTS", "?");
    const auto others = named.empty() && closed.size() > 1
                            ? " and " + words::counted(closed.size() - 1, "other")
                            : std::string();
    auto text = fmt::format("waits for topic {}{}{}", name, others, retry_text(at, now));
    return {"waits_for_topic", std::move(text), std::move(name), at};
}

Standing standing_of(
    const SeenMember& seen, const Blocked& blocked, const std::string& topic, Moment now
) {
    if (blocked.code == "paused")
        return {"paused", "paused" + (blocked.detail.empty() ? "" : ": " + blocked.detail), {}, {}};
    if (blocked.code == "kafka_unavailable") return waits_for_kafka(seen.member, now);
    if (blocked.code == "topic_missing" || blocked.code == "topic_refused")
        return waits_for_topic(seen, topic, now);
    return {
        "cannot_deliver",
        "cannot deliver: " + (blocked.detail.empty() ? blocked.code : blocked.detail),
        {},
        {}
    };
}

/// What the relay says of a lane of its own: something that names it, else something about all.
std::optional<Standing> said_of(const LaneId lane, const SeenMember& seen, Moment now) {
    std::optional<Standing> of_all;
    for (const auto& blocked : read_blocked(seen.member.blockages)) {
        const auto found = std::ranges::find(blocked.lanes, lane, &Blocked::Lane::lane);
        if (found != blocked.lanes.end()) return standing_of(seen, blocked, found->topic, now);
        if (blocked.lanes.empty() && !of_all) of_all = standing_of(seen, blocked, {}, now);
    }
    return of_all;
}

}  // namespace

bool is_of(std::string_view owner, std::string_view relay) {
    return owner.size() > relay.size() && owner.starts_with(relay) && owner[relay.size()] == '/';
}

Standing standing_of(
    const SeenMember& seen, const std::vector<outbox::LeaseRow>& leases, Moment now
) {
    const auto& member = seen.member;
    if (!seen.is_alive()) return {"gone", "silent for " + spoken(seen.silent), {}, {}};
    std::int64_t lanes = 0;
    bool drains = false;
    for (const auto& lease : leases) {
        if (!is_of(lease.owner, member.name)) continue;
        lanes += lease.lanes;
        drains = drains || lease.drains;
    }
    if (drains && lanes == 0) return {"drained", "drained: owns no lane and takes none", {}, {}};
    if (drains)
        return {
            "draining",
            fmt::format(
                "draining: {} left", words::counted(static_cast<std::uint64_t>(lanes), "lane")
            ),
            {},
            {}
        };
    const auto blocked = read_blocked(member.blockages);
    // What concerns all events before what concerns some.
    const auto worst =
        std::ranges::find_if(blocked, [](const auto& one) { return one.lanes.empty(); });
    if (worst != blocked.end()) return standing_of(seen, *worst, {}, now);
    if (!blocked.empty()) return standing_of(seen, blocked.front(), {}, now);
    if (member.breaker == "open") return waits_for_kafka(member, now);
    if (member.lanes.empty()) return {"standby", "stands by: other relays own all lanes", {}, {}};
    return {"active", "active", {}, {}};
}

std::optional<Standing> why_waiting(
    const outbox::LaneRow& lane, const std::vector<SeenMember>& members, Moment now
) {
    std::optional<Standing> of_others;
    for (const auto& seen : members) {
        if (!seen.is_alive()) continue;
        auto said = said_of(lane.lane, seen, now);
        if (said && lane.owner && is_of(*lane.owner, seen.member.name)) return said;
        if (said && !of_others) of_others = std::move(said);
    }
    return of_others;
}

}  // namespace txstream::console
