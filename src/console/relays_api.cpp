#include "console/relays_api.hpp"

#include "console/json.hpp"
#include "console/overview.hpp"
#include "outbox/members.hpp"
#include "outbox/situation.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace txstream::console {

namespace {

using namespace std::chrono_literals;

constexpr auto kAnswerAge = 1s;
constexpr std::size_t kMembersMax = 200;
constexpr std::int64_t kHeldCountedMax = 10'000;
// A lane whose cursor moved within this time delivers.
constexpr auto kDelivering = 10s;
constexpr std::uint64_t kCatchingUp = 1'000;

/// The digest that most of the living have; of as many the first.
std::string common_digest(const std::vector<outbox::SeenMember>& members) {
    std::map<std::string, int> times;
    for (const auto& one : members)
        if (one.is_alive()) ++times[one.member.config_digest];
    const auto most =
        std::ranges::max_element(times, {}, [](const auto& one) { return one.second; });
    return most == times.end() ? std::string() : most->first;
}

Json member_json(const outbox::SeenMember& seen, const std::string& common) {
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
    if (lane.is_paging || pending.value_or(0) > kCatchingUp) return "catching_up";
    if (pending.value_or(0) > 0 || (lane.advanced_at && now - *lane.advanced_at < kDelivering))
        return "delivering";
    return "idle";
}

Task<Result<Json>> relays_json(Context& context) {
    const auto deadline = Deadline::in(kStatementTimeout + 500ms);
    TXS_CO_TRY(const auto session, co_await context.pool.acquire(deadline));
    TXS_CO_TRY(const auto members, co_await outbox::read_members(*session, kMembersMax, deadline));
    TXS_CO_TRY(const auto rows, co_await outbox::read_lanes(*session, kHeldCountedMax, deadline));
    const auto now =
        std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    const auto common = common_digest(members);
    Json json{{"members", Json::array()}, {"lanes", Json::array()}};
    for (const auto& one : members) json["members"].push_back(member_json(one, common));
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
             {"advanced_at", time_or_null(lane.advanced_at)},
             {"published", number(lane.published)},
             {"parked", number(lane.parked)},
             {"held_keys", lane.held_keys},
             {"pending", pending ? count(*pending, true) : Json(nullptr)}}
        );
    }
    co_return json;
}

}  // namespace

void RelaysApi::add_routes(http::Router& router) {
    router.add(
        http::Method::get,
        "/api/console/v1/relays",
        [this](http::Request) {
            return context_.cache.answer("relays", kAnswerAge, [this] { return relays(); });
        },
        http::Role::viewer
    );
}

Task<http::Response> RelaysApi::relays() {
    const auto made = co_await relays_json(context_);
    co_return made ? ok(*made) : problem_of(made.error());
}

}  // namespace txstream::console
