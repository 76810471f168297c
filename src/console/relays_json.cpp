#include "console/relays_json.hpp"

#include "console/overview.hpp"
#include "outbox/members.hpp"
#include "outbox/situation.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace txstream::console {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t kMembersMax = 200;
constexpr std::int64_t kHeldCountedMax = 10'000;
// A lane whose cursor moved within this time delivers.
constexpr auto kDelivering = 10s;
constexpr std::uint64_t kCatchingUp = 1'000;
// A lock that lasts longer than lock_timeout.
constexpr std::string_view kLocked = "55P03";

/// The digest that most of the living have; of as many the first.
std::string common_digest(const std::vector<outbox::SeenMember>& members) {
    std::map<std::string, int> times;
    for (const auto& one : members)
        if (one.is_alive()) ++times[one.member.config_digest];
    const auto most =
        std::ranges::max_element(times, {}, [](const auto& one) { return one.second; });
    return most == times.end() ? std::string() : most->first;
}

// A process has a lease for each worker, whose name is "<member>/<worker>". Of these the first to
// end; its lanes say it, so a relay that stands by has none.
std::optional<Moment> lease_end(
    const outbox::Member& member, const std::vector<outbox::LaneRow>& lanes
) {
    std::optional<Moment> first;
    for (const auto& lane : lanes) {
        if (!lane.owner || !lane.lease_ends_at || !lane.owner->starts_with(member.name + "/"))
            continue;
        first = std::min(first.value_or(*lane.lease_ends_at), *lane.lease_ends_at);
    }
    return first;
}

Json member_json(
    const outbox::SeenMember& seen,
    const std::string& common,
    const std::vector<outbox::LaneRow>& lane_rows
) {
    const auto& member = seen.member;
    auto blocked = Json::array();
    for (const auto& one : read_blocked(member.blockages)) {
        auto text = one.detail;
        std::set<std::int16_t> lanes;
        for (const auto& lane : one.lanes) lanes.insert(lane.lane.value());
        if (!lanes.empty())
            text += fmt::format("{}lanes {}", text.empty() ? "" : ": ", fmt::join(lanes, ", "));
        blocked.push_back(
            {{"code", one.code},
             {"since", rfc3339(one.since.value_or(seen.seen_at))},
             {"text", std::move(text)}}
        );
    }
    return {
        {"name", member.name},
        {"host", member.host},
        {"pid", member.pid},
        {"version", member.version},
        {"revision", member.revision},
        {"started_at", rfc3339(member.started_at)},
        {"seen_at", rfc3339(seen.seen_at)},
        {"is_alive", seen.is_alive()},
        {"lanes", member.lanes.size()},
        {"lease_ends_at", time_or_null(lease_end(member, lane_rows))},
        {"leases_lost", number(member.leases_lost)},
        {"lease_lost_at", time_or_null(member.lease_lost_at)},
        {"lease_lost_how",
         member.lease_lost_how.empty() ? Json(nullptr) : Json(member.lease_lost_how)},
        {"workers_alive", member.workers_alive},
        {"workers", member.workers},
        {"breaker",
         {{"state", member.breaker},
          {"failures", member.breaker_failures},
          {"failures_max", member.breaker_failures_max},
          {"since", rfc3339(member.breaker_since)},
          {"next_probe_at", time_or_null(member.breaker_probe_at)}}},
        {"blocked", std::move(blocked)},
        {"config_digest", member.config_digest},
        {"config_differs", seen.is_alive() && member.config_digest != common},
        {"published_per_s",
         seen.is_alive() ? Json(static_cast<double>(member.published_milli_per_s) / 1000)
                         : Json(nullptr)}
    };
}

Json topic_json(const SlowTopic& topic) {
    return {
        {"name", topic.name},
        {"state", topic.is_closed ? "closed" : "careful"},
        {"error", topic.error},
        {"since", time_or_null(topic.since)},
        {"until", time_or_null(topic.until)},
        {"events", number(topic.events)},
        {"keys", number(topic.keys)},
        {"relays", topic.relays}
    };
}

Json lock_json(const outbox::TableLock& lock) {
    return {
        {"table", lock.table},
        {"pid", lock.pid},
        {"application", lock.application},
        {"user", lock.user},
        {"since", time_or_null(lock.since)}
    };
}

/// What the living say of the lanes.
struct Told {
    std::optional<std::vector<std::uint64_t>> pending;
    std::set<std::int16_t> held;
    bool is_all_held = false;
};

Told told_by(const std::vector<outbox::SeenMember>& members) {
    Told told;
    for (const auto& one : members) {
        if (!one.is_alive()) continue;
        if (one.member.pending_by_lane && !told.pending) told.pending = one.member.pending_by_lane;
        for (const auto& blocked : read_blocked(one.member.blockages)) {
            if (blocked.lanes.empty()) told.is_all_held = true;
            for (const auto& lane : blocked.lanes) told.held.insert(lane.lane.value());
        }
    }
    return told;
}

std::string_view state_of(
    const outbox::LaneRow& lane, const Told& told, std::optional<std::uint64_t> pending, Moment now
) {
    if (!lane.is_owned) return "unowned";
    const bool has_work = !pending || *pending > 0;
    if (told.held.contains(lane.lane.value()) || (told.is_all_held && has_work)) return "waiting";
    if (lane.target || pending.value_or(0) > kCatchingUp) return "catching_up";
    if (pending.value_or(0) > 0 || (lane.advanced_at && now - *lane.advanced_at < kDelivering))
        return "delivering";
    return "idle";
}

}  // namespace

Task<Result<Json>> read_relays(pg::Connection& session, Deadline deadline) {
    TXS_CO_TRY(const auto members, co_await outbox::read_members(session, kMembersMax, deadline));
    auto read = co_await outbox::read_lanes(session, kHeldCountedMax, deadline);
    // Somebody has locked what says where the lanes are; the relays are known all the same.
    const bool is_locked = !read && read.error().origin() == kLocked;
    outbox::TableLocks locked;
    if (is_locked) {
        TXS_CO_TRY(locked, co_await outbox::read_locks(session, deadline));
        read = std::vector<outbox::LaneRow>();
    }
    TXS_CO_TRY(const auto rows, std::move(read));
    const auto now =
        std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    const auto common = common_digest(members);
    Json json{
        {"members", Json::array()},
        {"lanes", Json::array()},
        {"topics", Json::array()},
        {"is_locked", is_locked},
        {"locks", Json::array()}
    };
    for (const auto& one : members) json["members"].push_back(member_json(one, common, rows));
    for (const auto& one : slow_topics(members)) json["topics"].push_back(topic_json(one));
    for (const auto& one : locked.locks) json["locks"].push_back(lock_json(one));
    const auto told = told_by(members);
    for (const auto& lane : rows) {
        const auto place = static_cast<std::size_t>(lane.lane.value());
        const auto pending = told.pending && place < told.pending->size()
                                 ? std::optional((*told.pending)[place])
                                 : std::nullopt;
        json["lanes"].push_back(
            {{"lane", lane.lane.value()},
             {"owner", lane.owner ? Json(*lane.owner) : Json(nullptr)},
             {"epoch", number(lane.epoch)},
             {"lease_ends_at", time_or_null(lane.lease_ends_at)},
             {"state", state_of(lane, told, pending, now)},
             {"position",
              {{"cursor", lane.cursor},
               {"target", lane.target ? Json(*lane.target) : Json(nullptr)},
               {"last_id", number(lane.last_id)}}},
             {"advanced_at", time_or_null(lane.advanced_at)},
             {"published", number(lane.published)},
             {"parked", number(lane.parked)},
             {"held_keys", lane.held_keys},
             {"pending", pending ? count(*pending, true) : Json(nullptr)}}
        );
    }
    co_return json;
}

}  // namespace txstream::console
