#include "console/decisions_api.hpp"

#include "base/utf8.hpp"
#include "console/audit_api.hpp"
#include "console/detail/overview_words.hpp"
#include "console/event_json.hpp"
#include "operations/dead_letters.hpp"
#include "runtime/timer.hpp"
#include "telemetry/log.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <utility>

namespace txstream::console {

namespace {

using outbox::Decision;

// A step changes thousands of rows; what it may take is bounded all the same.
constexpr const char* kSettings =
    "SET application_name = 'txstream console'; SET statement_timeout = '30s'; "
    "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '10s'; ";
/// One more than decisions under way, for plans.
constexpr std::size_t kSessionsMax = DecisionsApi::kDecidingMax + 1;
constexpr std::chrono::seconds kSessionTime{5};
constexpr std::chrono::milliseconds kProgressKept{800};
constexpr std::size_t kActorBytesMax = 512;

constexpr const char* kUnknownYet =
    "it is not known yet whether anything was decided: the audit says it";

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

struct DecisionsApi::Work {
    Work(const asio::any_io_executor& executor, DecisionRequest asked, std::string by)
        : request(std::move(asked)), actor(std::move(by)), changed(executor) {}

    DecisionRequest request;
    std::string actor;
    runtime::Timer changed;     ///< cancelled after a step and at the end
    std::int64_t audit_id = 0;  ///< of the first step; 0: none was committed
    std::uint64_t events = 0;   ///< that it is about
    std::uint64_t decided = 0;
    bool is_ended = false;
    std::optional<Error> error;
};

DecisionsApi::DecisionsApi(Context& context, pg::ConnInfo database)
    : context_(context),
      pool_(
          context.executor,
          std::move(database),
          std::string(kSettings) + outbox::kDecisionSettings,
          {.connections_max = kSessionsMax, .waiters_max = 16}
      ),
      tasks_(context.executor) {
}

DecisionsApi::~DecisionsApi() = default;

void DecisionsApi::add_routes(http::Router& router) {
    using enum http::Method;
    const auto operator_ = http::Role::operator_;
    router.add(
        post,
        "/api/console/v1/dead-letters/plan",
        [this](http::Request request) { return plan(std::move(request)); },
        operator_
    );
    for (const auto decision : {Decision::replay, Decision::discard})
        router.add(
            post,
            std::string("/api/console/v1/dead-letters/").append(outbox::to_string(decision)),
            [this, decision](http::Request request) {
                return decide(decision, std::move(request));
            },
            operator_
        );
    router.add(
        get,
        "/api/console/v1/dead-letters/progress",
        [this](http::Request request) { return progress(std::move(request)); },
        http::Role::viewer
    );
}

Task<> DecisionsApi::stop() {
    tasks_.cancel();
    (void)co_await tasks_.join();
    works_.clear();
    pool_.close();
}

Task<http::Response> DecisionsApi::plan(http::Request request) {
    auto asked = plan_request(request.body, context_.settings.topic);
    if (!asked) co_return asked.error();
    const auto deadline = request.deadline.sooner(Deadline::in(kAnswerTime));
    auto session = co_await pool_.acquire(deadline.sooner(Deadline::in(kSessionTime)));
    if (!session) co_return problem_of(session.error());
    // Before somebody has thought of a reason.
    const auto is_allowed = co_await outbox::may_decide(**session, deadline);
    if (!is_allowed) co_return refusal(is_allowed.error());
    if (!*is_allowed) co_return without_rights();
    const auto plan = co_await operations::plan(
        **session, asked->decision, std::move(asked->selection), deadline
    );
    if (!plan) co_return refusal(plan.error());
    co_return ok(plan_json(*plan, context_.settings.topic));
}

Task<http::Response> DecisionsApi::decide(Decision decision, http::Request request) {
    auto asked = decision_request(decision, request.body, context_.settings.topic);
    if (!asked) co_return asked.error();
    if (works_.size() >= kDecidingMax)
        co_return problem(
            429, "too_many", "other decisions are being written down; try again when they are"
        );
    const auto deadline = request.deadline.sooner(Deadline::in(kAnswerTime));
    const auto work = std::make_shared<Work>(
        context_.executor,
        std::move(*asked),
        storable_text(request.caller.name.empty() ? "console" : request.caller.name, kActorBytesMax)
    );
    works_.push_back(work);
    tasks_.spawn(carry(work));
    while (work->audit_id == 0 && !work->is_ended && !deadline.passed()) {
        work->changed.expires_at(deadline.at());
        co_await work->changed.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    if (work->audit_id == 0 && work->error) co_return refusal(*work->error);
    if (work->audit_id == 0 && work->is_ended)
        co_return problem(
            409, "letter_state", "no parked event matches any more; nothing was changed"
        );
    if (work->audit_id == 0) co_return problem(504, "timed_out", kUnknownYet);
    co_return ok(Json{
        {"audit_id", number(work->audit_id)},
        {"events", number(work->events)},
        {"decided", number(work->decided)},
    });
}

Task<> DecisionsApi::carry(std::shared_ptr<Work> work) {
    auto done = co_await apply(*work, Deadline::in(kDecideTime));
    if (!done) work->error = std::move(done).error();
    work->is_ended = true;
    std::erase(works_, work);
    work->changed.cancel();
    // Whoever asked has been answered after the first step.
    if (work->error && work->audit_id != 0)
        log::warn(
            "console",
            "a decision about dead letters ended before its last step; decide again for the rest",
            {{"audit_id", work->audit_id},
             {"decided", work->decided},
             {"events", work->events},
             {"error", work->error->what()}}
        );
}

Task<Result<>> DecisionsApi::apply(Work& work, Deadline deadline) {
    TXS_CO_TRY(auto session, co_await pool_.acquire(deadline.sooner(Deadline::in(kSessionTime))));
    const auto& request = work.request;
    TXS_CO_TRY(
        auto plan,
        co_await operations::plan(*session, request.decision, request.selection, deadline)
    );
    operations::Authority authority{work.actor, "console", request.reason, request.events};
    authority.on_step = [&work](const outbox::DecisionStep& step) {
        if (work.audit_id == 0) {
            work.audit_id = step.audit_id;
            work.events = step.matching;
        }
        work.decided += step.decided.size();
        work.changed.cancel();
    };
    TXS_CO_TRY(
        auto applied,
        co_await operations::apply(*session, std::move(plan), std::move(authority), deadline)
    );
    if (applied.ended_by) co_return tl::unexpected(std::move(*applied.ended_by));
    co_return Result<>();
}

Task<http::Response> DecisionsApi::progress(http::Request request) {
    const auto id =
        query_number(request, "audit_id", 1, std::numeric_limits<std::int64_t>::max(), 0);
    if (!id) co_return invalid("audit_id", id.error().what());
    if (*id == 0) co_return invalid("audit_id", "audit_id is missing: that of the decision");
    co_return co_await context_.cache.answer(
        fmt::format("decision {}", *id),
        kProgressKept,
        [this, id = *id]() { return make_progress(id, Deadline::in(kProgressTime)); }
    );
}

Task<http::Response> DecisionsApi::make_progress(std::int64_t audit_id, Deadline deadline) {
    auto session = co_await context_.pool.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    const auto found = co_await outbox::decision_progress(**session, audit_id, deadline);
    if (!found) co_return problem_of(found.error());
    if (!*found)
        co_return problem(
            404, "not_found", "the audit has no decision about dead letters with this id"
        );
    const auto& progress = **found;
    const bool is_deciding = std::ranges::any_of(works_, [audit_id](const auto& work) {
        return work->audit_id == audit_id;
    });
    auto json = Json{
        {"entry", audit_entry(progress.entry)},
        {"events", number(progress.total)},
        {"decided", number(progress.decided)},
        {"is_deciding", is_deciding},
        {"waiting", count(progress.waiting, progress.is_waiting_exact)},
        {"carried_out", nullptr},
    };
    if (progress.carried_out) json["carried_out"] = number(*progress.carried_out);
    co_return ok(json);
}

http::Response DecisionsApi::refusal(const Error& error) const {
    if (error.origin() == "42501") return without_rights();
    if (error.origin() == operations::kLetterOrigin)
        return problem(409, "letter_state", error.what());
    if (error.code() == Code::timed_out)
        return problem(504, "timed_out", fmt::format("{}; {}", error.what(), kUnknownYet));
    return problem_of(error);
}

http::Response DecisionsApi::without_rights() const {
    const auto& user = context_.settings.database_user;
    return problem(
        403,
        "database_rights",
        fmt::format(
            "the console's login at PostgreSQL, {}, may read and not decide: it needs the role "
            "txstream_operator",
            user
        ),
        Json{
            {"remedy",
             {{"kind", "sql"},
              {"text", fmt::format("GRANT txstream_operator TO {}", words::sql_name(user))}}}
        }
    );
}

}  // namespace txstream::console
