#include "console/overview_api.hpp"

#include "console/json.hpp"
#include "pg/migrator.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

namespace txstream::console {

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kAnswerAge = 1s;
constexpr auto kHistoryAge = 5s;
// History has a slot for each ten seconds, and Kafka is not asked more often either.
constexpr auto kIncidentsAge = 10s;
constexpr auto kKafkaAge = 10s;
// An overview must not wait for a broker that is away.
constexpr auto kKafkaPatience = 1500ms;
constexpr std::size_t kMembersMax = 200;
constexpr std::size_t kSlots = 16;
constexpr std::size_t kChangesMax = 2000;
constexpr std::size_t kIncidents = 50;
constexpr std::int64_t kParkedCountedMax = 10'000;
// Where there are more dead letters, each look at them costs milliseconds: as often as the relay.
constexpr std::uint64_t kParkedCheapMax = 1'000;
constexpr auto kParkedAge = 10s;
constexpr std::int64_t kWaitingCountedMax = 1'000;
// Of each lane, where it is not known how much waits.
constexpr std::int64_t kWaitingInLaneMax = 128;
constexpr std::size_t kTopicsMax = 20;
// SQLSTATE insufficient_privilege
constexpr std::string_view kNoRight = "42501";
// A lock that lasts longer than lock_timeout.
constexpr std::string_view kLocked = "55P03";
// A standby, or default_transaction_read_only.
constexpr std::string_view kReadOnly = "25006";

Json remedy_json(const std::optional<Remedy>& remedy) {
    if (!remedy) return nullptr;
    return {{"kind", to_string(remedy->kind)}, {"text", remedy->text}};
}

Json params_json(const Params& params) {
    auto json = Json::object();
    for (const auto& [name, value] : params) json[name] = value;
    return json;
}

Json cause_json(const Cause& cause) {
    return {
        {"code", cause.code},
        {"severity", to_string(cause.severity)},
        {"since", time_or_null(cause.since)},
        {"params", params_json(cause.params)},
        {"text", cause.text},
        {"detail", cause.detail.empty() ? Json(nullptr) : Json(cause.detail)},
        {"remedy", remedy_json(cause.remedy)},
        {"link", cause.link ? Json(*cause.link) : Json(nullptr)}
    };
}

Json or_null(const std::optional<double>& value) {
    return value ? Json(*value) : Json(nullptr);
}

Json milliseconds_or_null(const std::optional<std::int64_t>& micros) {
    return micros ? Json(static_cast<double>(*micros) / 1000) : Json(nullptr);
}

Json numbers_json(const OverviewState& state) {
    const auto numbers = numbers_of(state);
    std::uint64_t parked = 0;
    for (const auto& one : state.parked.classes) parked += one.events;
    Json delays = nullptr;
    if (numbers.pending && state.history.front().p50_us) {
        const auto& newest = state.history.front();
        delays = {
            {"p50", milliseconds_or_null(newest.p50_us)},
            {"p95", milliseconds_or_null(newest.p95_us)},
            {"p99", milliseconds_or_null(newest.p99_us)}
        };
    }
    return {
        {"pending",
         numbers.pending ? count(*numbers.pending, numbers.pending_is_exact) : Json(nullptr)},
        {"oldest_s", or_null(numbers.oldest_s)},
        {"published_per_s", or_null(numbers.published_per_s)},
        {"appended_per_s", or_null(numbers.appended_per_s)},
        {"parked", state.looked_at ? count(parked, state.parked.is_exact) : Json(nullptr)},
        {"lanes_owned", state.looked_at ? Json(state.situation.lanes_owned) : Json(nullptr)},
        {"lanes", state.looked_at ? Json(state.situation.lanes) : Json(nullptr)},
        {"commit_to_ack_ms", std::move(delays)}
    };
}

Json overview_json(const OverviewState& state, const std::vector<outbox::HistoryChange>& changes) {
    auto causes = Json::array();
    for (const auto& one : causes_of(state)) causes.push_back(cause_json(one));
    auto dots = Json::array();
    for (const auto& one : dots_of(state))
        dots.push_back(
            {{"name", one.name},
             {"severity", to_string(one.severity)},
             {"text", one.text},
             {"params", params_json(one.params)}}
        );
    auto incidents = Json::array();
    for (const auto& one : incidents_of(changes, state.situation.lanes, kIncidents))
        incidents.push_back(
            {{"code", one.code},
             {"severity", to_string(one.severity)},
             {"began_at", rfc3339(one.began_at)},
             {"ended_at", time_or_null(one.ended_at)},
             {"text", one.text},
             {"params", params_json(one.params)}}
        );
    auto checklist = Json::array();
    for (const auto& one : checklist_of(state))
        checklist.push_back(
            {{"code", one.code},
             {"is_done", one.is_done},
             {"text", one.text},
             {"remedy", remedy_json(one.remedy)}}
        );
    return {
        {"at", rfc3339(state.looked_at.value_or(state.now))},
        {"causes", std::move(causes)},
        {"dots", std::move(dots)},
        {"numbers", numbers_json(state)},
        {"incidents", std::move(incidents)},
        {"checklist", std::move(checklist)}
    };
}

// A point for each step, with null where nothing was written: lines must not bridge a gap.
Json series_json(
    const std::vector<outbox::HistoryPoint>& points, std::int64_t hours, std::int64_t step
) {
    Json json{{"at", Json::array()}, {"step_s", step}};
    const std::array names{
        "pending",
        "oldest_s",
        "published_per_s",
        "appended_per_s",
        "parked",
        "p50_ms",
        "p95_ms",
        "p99_ms"
    };
    for (const auto* name : names) json[name] = Json::array();
    json["marks"] = Json::array();
    if (points.empty()) return json;
    const auto last = points.back().at;
    auto first = std::max(points.front().at, last - hours * 3600 + step);
    auto at = points.begin();
    while (at != points.end() && at->at < first) ++at;
    const auto* before = at == points.begin() ? nullptr : &*std::prev(at);
    for (auto time = first; time <= last; time += step) {
        const bool is_there = at != points.end() && at->at == time;
        json["at"].push_back(time);
        const auto push = [&](const char* name, Json value) {
            json[name].push_back(is_there ? std::move(value) : Json(nullptr));
        };
        const auto per_second = [&](std::int64_t outbox::HistoryPoint::* total) -> Json {
            if (!is_there || before == nullptr || time - before->at > 2 * step) return nullptr;
            const std::chrono::duration<double> span = at->last_at - before->last_at;
            if (span.count() <= 0) return nullptr;
            const auto more = std::max<std::int64_t>((*at).*total - before->*total, 0);
            return static_cast<double>(more) / span.count();
        };
        const auto point = is_there ? *at : outbox::HistoryPoint();
        push("pending", point.pending);
        push("oldest_s", static_cast<double>(point.oldest_pending_ms.value_or(0)) / 1000);
        push("published_per_s", per_second(&outbox::HistoryPoint::settled));
        push("appended_per_s", per_second(&outbox::HistoryPoint::appended));
        push("parked", point.parked);
        push("p50_ms", milliseconds_or_null(point.p50_us));
        push("p95_ms", milliseconds_or_null(point.p95_us));
        push("p99_ms", milliseconds_or_null(point.p99_us));
        if (is_there) before = &*at++;
    }
    return json;
}

Task<Result<Json>> history_json(Context& context, std::int64_t hours, Deadline deadline) {
    const auto step = outbox::kHistorySlot * hours;
    TXS_CO_TRY(const auto session, co_await context.pool.acquire(deadline));
    TXS_CO_TRY(
        const auto points,
        co_await outbox::read_history(*session, std::chrono::hours(hours), step, deadline)
    );
    TXS_CO_TRY(
        const auto changes, co_await outbox::read_history_changes(*session, kChangesMax, deadline)
    );
    TXS_CO_TRY(const auto situation, co_await outbox::read_situation(*session, deadline));
    auto json = series_json(points, hours, step.count());
    const auto begins = situation.now - std::chrono::hours(hours);
    for (const auto& one : incidents_of(changes, situation.lanes, kIncidents)) {
        if (one.began_at < begins) continue;
        const auto at = std::chrono::floor<std::chrono::seconds>(one.began_at);
        json["marks"].push_back({{"at", at.time_since_epoch().count()}, {"code", one.code}});
    }
    co_return json;
}

Moment local_now() {
    return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
}

std::uint64_t events_of(const outbox::Parked& parked) {
    std::uint64_t events = 0;
    for (const auto& one : parked.classes) events += one.events;
    return events;
}

/// Topics of which a relay says that Kafka refuses them, and the one of this console.
std::set<std::string> topics_of(const OverviewState& state) {
    std::set<std::string> topics{state.topic};
    for (const auto& member : state.members) {
        if (!member.is_alive()) continue;
        for (const auto& blocked : read_blocked(member.member.blockages))
            for (const auto& lane : blocked.lanes)
                if (!lane.topic.empty() && topics.size() < kTopicsMax) topics.insert(lane.topic);
    }
    return topics;
}

}  // namespace

void OverviewApi::add_routes(http::Router& router) {
    using enum http::Method;
    const auto viewer = http::Role::viewer;
    router.add(
        get,
        "/api/console/v1/overview",
        [this](http::Request) {
            return context_.cache.answer("overview", kAnswerAge, [this] { return overview(); });
        },
        viewer
    );
    router.add(
        get,
        "/api/console/v1/overview/history",
        [this](http::Request request) { return history(std::move(request)); },
        viewer
    );
}

Task<http::Response> OverviewApi::overview() {
    co_await look();
    co_return ok(overview_json(state_, changes_));
}

Task<> OverviewApi::look() {
    state_.topic = context_.settings.topic;
    state_.brokers = context_.settings.brokers;
    const auto looked = co_await look_at_database();
    if (looked) {
        state_.database.error.clear();
        state_.database.since.reset();
        state_.database.state = state_.situation.is_in_recovery || state_.situation.is_read_only
                                    ? DatabaseView::State::read_only
                                    : DatabaseView::State::ok;
        state_.looked_at = state_.now;
    } else {
        failed(looked.error());
    }
    if (!is_asking_kafka_ && Clock::now() - kafka_at_ >= kKafkaAge) {
        is_asking_kafka_ = true;
        tasks_.spawn(ask_kafka());
    }
    // At first there is nothing to show instead.
    if (state_.kafka.state == KafkaView::State::unknown)
        co_await kafka_asked_.wait(Deadline::Clock::now() + kKafkaPatience);
}

// A table that somebody has locked holds back what it says, and nothing else.
Task<Result<>> OverviewApi::look_at_database() {
    const auto deadline = Deadline::in(kStatementTimeout + 500ms);
    TXS_CO_TRY(const auto session, co_await context_.pool.acquire(deadline));
    bool is_locked = false;
    const auto keep = [&](auto answer, auto& into) -> Result<> {
        if (answer) {
            into = std::move(*answer);
        } else if (answer.error().origin() == kLocked) {
            is_locked = true;
        } else {
            return tl::unexpected<Error>(answer.error());
        }
        return {};
    };
    auto situation = co_await outbox::read_situation(*session, deadline);
    if (!situation && situation.error().origin() == kNoRight) {
        TXS_CO_TRY(state_.database.user, co_await outbox::role_of(*session, deadline));
    }
    TXS_CO_CHECK(keep(std::move(situation), state_.situation));
    state_.now = is_locked ? local_now() : state_.situation.now;
    TXS_CO_CHECK(
        keep(co_await outbox::read_members(*session, kMembersMax, deadline), state_.members)
    );
    TXS_CO_CHECK(
        keep(co_await outbox::read_newest_history(*session, kSlots, deadline), state_.history)
    );
    if (events_of(state_.parked) <= kParkedCheapMax || Clock::now() - parked_at_ >= kParkedAge) {
        TXS_CO_CHECK(
            keep(co_await outbox::read_parked(*session, kParkedCountedMax, deadline), state_.parked)
        );
        parked_at_ = Clock::now();
    }
    if (!is_locked) {
        const auto counted = co_await look_at_what_waits(*session);
        if (!counted && counted.error().origin() != kLocked) co_return counted;
        is_locked = !counted;
    }
    if (!is_locked && Clock::now() - changes_at_ >= kIncidentsAge) {
        TXS_CO_CHECK(
            keep(co_await outbox::read_history_changes(*session, kChangesMax, deadline), changes_)
        );
        changes_at_ = Clock::now();
    }
    state_.database.is_locked = is_locked;
    state_.database.locks.clear();
    if (is_locked) {
        TXS_CO_TRY(auto found, co_await outbox::read_locks(*session, deadline));
        state_.now = found.now;
        state_.database.locks = std::move(found.locks);
        co_return Result<>();
    }
    const auto schema = co_await pg::check_schema(*session, context_.settings.migrations, deadline);
    if (!schema && schema.error().retryable()) co_return schema;
    state_.database.schema_error = schema ? std::string() : schema.error().what();
    state_.database.is_schema_older = schema || schema.error().origin() == "schema_older";
    co_return Result<>();
}

// Only where something does not flow: counting costs more than all the rest.
Task<Result<>> OverviewApi::look_at_what_waits(pg::Connection& session) {
    state_.waiting.clear();
    state_.waiting_in_all.reset();
    std::map<std::string, std::vector<LaneId>> held;
    bool is_all_held = state_.situation.lanes_owned < state_.situation.lanes;
    for (const auto& member : state_.members) {
        if (!member.is_alive()) continue;
        for (const auto& blocked : read_blocked(member.member.blockages)) {
            if (blocked.lanes.empty()) is_all_held = true;
            // What waits for a topic the relays say themselves.
            if (blocked.code == "topic_refused") continue;
            for (const auto& lane : blocked.lanes) held[blocked.code].push_back(lane.lane);
        }
    }
    const auto deadline = Deadline::in(kStatementTimeout);
    for (const auto& [code, lanes] : held) {
        const auto each = std::max<std::int64_t>(
            kWaitingCountedMax / static_cast<std::int64_t>(lanes.size()), 10
        );
        TXS_CO_TRY(
            state_.waiting[code], co_await outbox::count_waiting(session, lanes, each, deadline)
        );
    }
    const auto pending = numbers_of(state_).pending;
    if (!is_all_held || pending.value_or(0) > kWaitingCountedMax) co_return Result<>();
    std::vector<LaneId> all;
    for (std::int64_t lane = 0; lane < state_.situation.lanes; ++lane)
        all.emplace_back(static_cast<std::int16_t>(lane));
    const auto each = pending ? kWaitingCountedMax : kWaitingInLaneMax;
    TXS_CO_TRY(state_.waiting_in_all, co_await outbox::count_waiting(session, all, each, deadline));
    co_return Result<>();
}

void OverviewApi::failed(const Error& error) {
    using enum DatabaseView::State;
    auto& database = state_.database;
    const auto was = database.state;
    const auto since = database.since;
    const auto sqlstate = error.origin();
    database.state = sqlstate == "42P01" || sqlstate == "3F000" || sqlstate == "42883" ? no_outbox
                     : sqlstate == kNoRight                                            ? denied
                     : sqlstate == kReadOnly                                           ? read_only
                                                                                       : away;
    database.error = error.what();
    state_.now = local_now();
    database.since = since && was == database.state ? since : std::optional(state_.now);
}

Task<> OverviewApi::ask_kafka() {
    const auto answer = co_await cluster_.cluster();
    auto& view = state_.kafka;
    view = {};
    if (!answer) {
        view.state = KafkaView::State::away;
        view.error = answer.error().what();
    } else {
        view.state = KafkaView::State::ok;
        for (const auto& topic : topics_of(state_)) {
            const auto* found = (*answer)->find(topic);
            auto& known = view.topics[topic];
            if (found == nullptr || found->partitions.empty()) continue;
            known.exists = true;
            known.partitions = static_cast<int>(found->partitions.size());
            known.replication_factor = static_cast<int>(found->partitions.front().replicas.size());
        }
    }
    kafka_at_ = Clock::now();
    is_asking_kafka_ = false;
    kafka_asked_.notify();
}

Task<> OverviewApi::stop() {
    tasks_.cancel();
    (void)co_await tasks_.join();
}

Task<http::Response> OverviewApi::history(http::Request request) {
    const auto hours = query_number(request, "hours", 1, 24, 1);
    if (!hours) co_return problem_of(hours.error());
    if (*hours != 1 && *hours != 6 && *hours != 24)
        co_return invalid("hours", "hours is 1, 6 or 24");
    const auto key = "overview history " + std::to_string(*hours);
    co_return co_await context_.cache
        .answer(key, kHistoryAge, [this, asked = *hours]() -> Task<http::Response> {
            const auto deadline = Deadline::in(kStatementTimeout + 500ms);
            const auto made = co_await history_json(context_, asked, deadline);
            co_return made ? ok(*made) : problem_of(made.error());
        });
}

}  // namespace txstream::console
