#include "console/relay_decisions_api.hpp"

#include "console/json.hpp"
#include "console/relay_requests.hpp"
#include "operations/drains.hpp"
#include "operations/pauses.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace txstream::console {

namespace {

using namespace std::chrono_literals;

// None: a page that has just changed one asks at once. Those that ask together have one answer.
constexpr auto kAnswerAge = 0ms;

Json pause_json(const outbox::PauseEntry& one) {
    return {
        {"what", to_string(one.pause.scope)},
        {"name", one.pause.name.empty() ? Json(nullptr) : Json(one.pause.name)},
        {"at", rfc3339(one.at)},
        {"by", one.by},
        {"reason", one.pause.reason}
    };
}

Json drain_json(const operations::DrainState& state) {
    return {
        {"relay", state.relay},
        {"workers", state.workers},
        {"lanes", state.lanes},
        {"others", state.others},
        {"drains", state.drains()}
    };
}

}  // namespace

void RelayDecisionsApi::add_routes(http::Router& router) {
    using enum http::Method;
    const std::string pauses_path = "/api/console/v1/pauses";
    const std::string drain_path = "/api/console/v1/relays/{name}/drain";
    router.add(
        get,
        pauses_path,
        [this](http::Request) {
            return context_.cache.answer("pauses", kAnswerAge, [this] { return pauses(); });
        },
        http::Role::viewer
    );
    router.add(
        get,
        drain_path,
        [this](http::Request request) { return plan_drain(std::move(request)); },
        http::Role::viewer
    );
    for (const auto& [method, change] :
         {std::pair(post, Change::begin), std::pair(delete_, Change::end)}) {
        router.add(
            method,
            pauses_path,
            [this, change](http::Request request) {
                return change_pause(change, std::move(request));
            },
            http::Role::operator_
        );
        router.add(
            method,
            drain_path,
            [this, change](http::Request request) {
                return change_drain(change, std::move(request));
            },
            http::Role::operator_
        );
    }
}

Task<http::Response> RelayDecisionsApi::pauses() {
    const auto deadline = Deadline::in(kStatementTimeout + 500ms);
    auto session = co_await context_.pool.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    const auto all = co_await outbox::pause_entries(**session, deadline);
    if (!all) co_return problem_of(all.error());
    auto items = Json::array();
    for (const auto& one : *all) items.push_back(pause_json(one));
    co_return ok(Json{{"items", std::move(items)}});
}

Task<http::Response> RelayDecisionsApi::change_pause(Change change, http::Request request) {
    auto asked = pause_request(request.body);
    if (!asked) co_return asked.error();
    const auto deadline = request.deadline.sooner(Deadline::in(OperatorSessions::kAnswerTime));
    auto session = co_await operators_.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    auto reason = asked->reason;
    operations::Authority authority{
        actor_of(request.caller), "console", std::move(reason), std::nullopt
    };
    const auto done =
        change == Change::begin
            ? co_await operations::pause(**session, *asked, std::move(authority), deadline)
            : co_await operations::resume(**session, *asked, std::move(authority), deadline);
    if (!done) co_return refusal(done.error());
    co_return ok(Json{
        {"what", to_string(asked->scope)},
        {"name", asked->name.empty() ? Json(nullptr) : Json(asked->name)}
    });
}

Task<http::Response> RelayDecisionsApi::plan_drain(http::Request request) {
    const auto deadline = request.deadline.sooner(Deadline::in(kStatementTimeout + 500ms));
    auto session = co_await context_.pool.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    const auto state =
        co_await operations::drain_state(**session, std::string(request.param("name")), deadline);
    if (!state) co_return problem_of(state.error());
    if (state->workers == 0) co_return problem(404, "not_found", "no relay of this name runs");
    co_return ok(drain_json(*state));
}

Task<http::Response> RelayDecisionsApi::change_drain(Change change, http::Request request) {
    auto asked = drain_request(request.body);
    if (!asked) co_return asked.error();
    const auto deadline = request.deadline.sooner(Deadline::in(OperatorSessions::kAnswerTime));
    auto session = co_await operators_.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    auto changed = co_await operations::change_drain(
        **session,
        {std::string(request.param("name")), change == Change::begin, asked->is_forced},
        {actor_of(request.caller), "console", std::move(asked->reason), std::nullopt},
        deadline
    );
    if (!changed) co_return refusal(changed.error());
    if (changed->is_changed)
        changed->state.draining = change == Change::begin ? changed->state.workers : 0;
    co_return ok(drain_json(changed->state));
}

http::Response RelayDecisionsApi::refusal(const Error& error) const {
    const auto& origin = error.origin();
    if (origin == operations::kDrainOrigin) return problem(409, "drain_state", error.what());
    if (origin == operations::kPauseOrigin) return problem(409, "pause_state", error.what());
    if (error.code() == Code::invalid_input) return invalid("body", error.what());
    if (error.code() == Code::not_found) return problem(404, "not_found", error.what());
    return operators_.refusal(error);
}

}  // namespace txstream::console
