#include "console/decisions_api.hpp"

#include "console/event_json.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <string>
#include <utility>

namespace txstream::console {

namespace {

using outbox::Decision;

Json plan_json(const operations::Plan& plan, std::string_view topic) {
    auto sample = Json::array();
    for (const auto& letter : plan.counts.sample) sample.push_back(event_row(letter, topic));
    return Json{
        {"action", outbox::to_string(plan.decision)},
        {"events", number(plan.counts.letters)},
        {"keys", number(plan.counts.keys)},
        {"held_behind", number(plan.counts.held)},
        {"keys_passed", number(plan.counts.keys_passed)},
        {"left_out", number(plan.counts.blocked)},
        {"sample", std::move(sample)},
    };
}

}  // namespace

void DecisionsApi::add_routes(http::Router& router) {
    using http::Method;
    const auto operator_ = http::Role::operator_;
    router.add(
        Method::post,
        "/api/console/v1/dead-letters/plan",
        [this](http::Request request) { return plan(std::move(request)); },
        operator_
    );
    for (const auto decision : {Decision::replay, Decision::discard})
        router.add(
            Method::post,
            std::string("/api/console/v1/dead-letters/").append(outbox::to_string(decision)),
            [this, decision](http::Request request) {
                return decide(decision, std::move(request));
            },
            operator_
        );
}

Task<http::Response> DecisionsApi::plan(http::Request request) {
    auto asked = plan_request(request.body, context_.settings.topic);
    if (!asked) co_return asked.error();
    const auto deadline = request.deadline.sooner(Deadline::in(OperatorSessions::kAnswerTime));
    auto session = co_await operators_.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    // Before somebody has thought of a reason.
    const auto is_allowed = co_await outbox::may_decide(**session, deadline);
    if (!is_allowed) co_return operators_.refusal(is_allowed.error());
    if (!*is_allowed) co_return operators_.without_rights();
    const auto plan = co_await operations::plan(
        **session, asked->decision, std::move(asked->selection), deadline
    );
    if (!plan) co_return operators_.refusal(plan.error());
    co_return ok(plan_json(*plan, context_.settings.topic));
}

Task<http::Response> DecisionsApi::decide(Decision decision, http::Request request) {
    auto asked = decision_request(decision, request.body, context_.settings.topic);
    if (!asked) co_return asked.error();
    const auto started = co_await start(
        std::move(*asked),
        actor_of(request.caller),
        request.deadline.sooner(Deadline::in(OperatorSessions::kAnswerTime))
    );
    if (!started) co_return operators_.refusal(started.error());
    const auto link = fmt::format("/jobs/{}", started->job);
    auto response = ok(Json{
        {"job", number(started->job)},
        {"link", link},
        {"events", number(started->letters)},
        {"is_decided", started->is_decided},
    });
    response.status = 202;
    // Relative to this path: a proxy may show the console below another one.
    response.with("Location", ".." + link);
    co_return response;
}

Task<Result<operations::Started>> DecisionsApi::start(
    DecisionRequest asked, std::string actor, Deadline deadline
) {
    TXS_CO_TRY(auto session, co_await operators_.acquire(deadline));
    TXS_CO_TRY(
        auto plan,
        co_await operations::plan(*session, asked.decision, std::move(asked.selection), deadline)
    );
    operations::Authority authority{
        std::move(actor), "console", std::move(asked.reason), asked.events, asked.rate
    };
    co_return co_await operations::start(*session, std::move(plan), std::move(authority), deadline);
}

}  // namespace txstream::console
