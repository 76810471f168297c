#include "console/relays_json.hpp"

#include "console/overview.hpp"
#include "console/relay_words.hpp"
#include "outbox/backlog.hpp"
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
// Events that are walked over behind each position for the oldest of each lane.
constexpr std::int64_t kOldestWalkMax = 5'000;
// A lock that lasts longer than lock_timeout.
constexpr std::string_view kLocked = "55P03";
constexpr std::string_view kTookTooLong = "57014";

/// The digest that most of the living have; of as many the first.
std::string common_digest(const std::vector<outbox::SeenMember>& members) {
    std::map<std::string, int> times;
    for (const auto& one : members)
        if (one.is_alive()) ++times[one.member.config_digest];
    const auto most =
        std::ranges::max_element(times, {}, [](const auto& one) { return one.second; });
    return most == times.end() ? std::string() : most->first;
}

/// All that was read.
struct Facts {
    std::vector<outbox::SeenMember> members;
    std::vector<outbox::LeaseRow> leases;
    std::vector<outbox::LaneRow> lanes;
    std::map<LaneId, Moment> oldest;
    /// Of each lane, as the relay that measures the outbox says.
    std::optional<std::vector<std::uint64_t>> pending;
    std::string common_digest;
    Moment now;
};

std::optional<std::uint64_t> pending_of(const Facts& facts, LaneId lane) {
    const auto place = static_cast<std::size_t>(lane.value());
    if (!facts.pending || place >= facts.pending->size()) return std::nullopt;
    return (*facts.pending)[place];
}

Json oldest_of(const Facts& facts, LaneId lane) {
    const auto found = facts.oldest.find(lane);
    return found == facts.oldest.end() ? Json(nullptr) : Json(rfc3339(found->second));
}

/// What a relay has, all its lanes together.
struct Holding {
    // A process has a lease for each worker, whose name is "<member>/<worker>". Of these the first
    // to end; its lanes say it, so a relay that stands by has none.
    std::optional<Moment> lease_ends_at;
    std::optional<Moment> owned_since;  ///< all of them
    std::optional<std::uint64_t> pending;
    std::optional<Moment> oldest_at;
};

Holding holding_of(const outbox::Member& member, const Facts& facts) {
    Holding all;
    if (facts.pending) all.pending = 0;
    const auto sooner = [](std::optional<Moment>& first, std::optional<Moment> one) {
        if (one) first = std::min(first.value_or(*one), *one);
    };
    for (const auto& lane : facts.lanes) {
        if (!lane.owner || !is_of(*lane.owner, member.name)) continue;
        sooner(all.lease_ends_at, lane.lease_ends_at);
        if (lane.taken_at)
            all.owned_since = std::max(all.owned_since.value_or(*lane.taken_at), *lane.taken_at);
        if (all.pending) *all.pending += pending_of(facts, lane.lane).value_or(0);
        if (const auto found = facts.oldest.find(lane.lane); found != facts.oldest.end())
            sooner(all.oldest_at, found->second);
    }
    return all;
}

bool drains(const outbox::Member& member, const std::vector<outbox::LeaseRow>& leases) {
    return std::ranges::any_of(leases, [&](const auto& lease) {
        return lease.drains && is_of(lease.owner, member.name);
    });
}

Json member_json(const outbox::SeenMember& seen, const Facts& facts) {
    const auto& member = seen.member;
    const auto standing = standing_of(seen, facts.leases, facts.now);
    const auto holding = holding_of(member, facts);
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
        {"state", standing.code},
        {"state_text", standing.text},
        {"state_topic", standing.topic.empty() ? Json(nullptr) : Json(standing.topic)},
        {"retry_at", time_or_null(standing.retry_at)},
        {"drains", drains(member, facts.leases)},
        {"lanes", member.lanes.size()},
        {"owned_since", time_or_null(holding.owned_since)},
        {"pending", holding.pending ? count(*holding.pending, true) : Json(nullptr)},
        {"oldest_at", time_or_null(holding.oldest_at)},
        {"lease_ends_at", time_or_null(holding.lease_ends_at)},
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
        {"config_differs", seen.is_alive() && member.config_digest != facts.common_digest},
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
        {"next_try", time_or_null(topic.next_try)},
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

std::string text_of(std::string_view state, const outbox::LaneRow& lane, const Facts& facts) {
    if (state == "unowned") return "no relay owns it";
    if (state == "catching_up") return "works off a backlog";
    if (state != "waiting") return std::string(state);
    const auto why = why_waiting(lane, facts.members, facts.now);
    return why ? why->text : "waits";
}

Json lane_json(const outbox::LaneRow& lane, const Told& told, const Facts& facts) {
    const auto pending = pending_of(facts, lane.lane);
    const auto state = state_of(lane, told, pending, facts.now);
    return {
        {"lane", lane.lane.value()},
        {"owner", lane.owner ? Json(*lane.owner) : Json(nullptr)},
        {"owned_since", time_or_null(lane.taken_at)},
        {"epoch", number(lane.epoch)},
        {"lease_ends_at", time_or_null(lane.lease_ends_at)},
        {"state", state},
        {"state_text", text_of(state, lane, facts)},
        {"position",
         {{"cursor", lane.cursor},
          {"target", lane.target ? Json(*lane.target) : Json(nullptr)},
          {"last_id", number(lane.last_id)}}},
        {"advanced_at", time_or_null(lane.advanced_at)},
        {"published", number(lane.published)},
        {"parked", number(lane.parked)},
        {"held_keys", lane.held_keys},
        {"pending", pending ? count(*pending, true) : Json(nullptr)},
        {"oldest_at", oldest_of(facts, lane.lane)}
    };
}

/// Of lanes in which something may wait.
Task<Result<>> read_oldest(pg::Connection& session, Facts& facts, Deadline deadline) {
    std::vector<LaneId> lanes;
    for (const auto& lane : facts.lanes)
        if (pending_of(facts, lane.lane).value_or(1) > 0) lanes.push_back(lane.lane);
    if (lanes.empty()) co_return Result<>();
    auto oldest =
        co_await outbox::oldest_by_lane(session, std::move(lanes), kOldestWalkMax, deadline);
    // All else is known without it.
    const bool is_unknown =
        !oldest && (oldest.error().origin() == kLocked || oldest.error().origin() == kTookTooLong);
    if (is_unknown) co_return Result<>();
    TXS_CO_TRY(facts.oldest, std::move(oldest));
    co_return Result<>();
}

}  // namespace

Task<Result<Json>> read_relays(pg::Connection& session, Deadline deadline) {
    Facts facts;
    TXS_CO_TRY(facts.members, co_await outbox::read_members(session, kMembersMax, deadline));
    auto leases = co_await outbox::read_leases(session, deadline);
    auto lanes = leases ? co_await outbox::read_lanes(session, kHeldCountedMax, deadline)
                        : Result<std::vector<outbox::LaneRow>>(std::vector<outbox::LaneRow>());
    // Somebody has locked what says where the lanes are; the relays are known all the same.
    const bool is_locked = (!leases && leases.error().origin() == kLocked) ||
                           (!lanes && lanes.error().origin() == kLocked);
    outbox::TableLocks locked;
    if (is_locked) {
        TXS_CO_TRY(locked, co_await outbox::read_locks(session, deadline));
        if (!leases) leases = std::vector<outbox::LeaseRow>();
        lanes = std::vector<outbox::LaneRow>();
    }
    TXS_CO_TRY(facts.leases, std::move(leases));
    TXS_CO_TRY(facts.lanes, std::move(lanes));
    facts.now = std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    facts.common_digest = common_digest(facts.members);
    auto told = told_by(facts.members);
    facts.pending = std::move(told.pending);
    TXS_CO_CHECK(co_await read_oldest(session, facts, deadline));
    Json json{
        {"members", Json::array()},
        {"lanes", Json::array()},
        {"topics", Json::array()},
        {"is_locked", is_locked},
        {"locks", Json::array()}
    };
    for (const auto& one : facts.members) json["members"].push_back(member_json(one, facts));
    for (const auto& one : slow_topics(facts.members)) json["topics"].push_back(topic_json(one));
    for (const auto& one : locked.locks) json["locks"].push_back(lock_json(one));
    for (const auto& one : facts.lanes) json["lanes"].push_back(lane_json(one, told, facts));
    co_return json;
}

}  // namespace txstream::console
