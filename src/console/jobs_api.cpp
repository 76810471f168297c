#include "console/jobs_api.hpp"

#include "console/decision_request.hpp"
#include "console/job_json.hpp"
#include "operations/dead_letters.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <charconv>
#include <utility>

namespace txstream::console {

namespace {

constexpr std::chrono::milliseconds kKept{800};

/// A number that a job may have.
std::optional<std::int64_t> number_of(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value <= 0) return std::nullopt;
    return value;
}

http::Response no_job(std::string_view number) {
    return problem(
        404,
        "not_found",
        fmt::format(
            "no job has the number {}; jobs that have ended are deleted after "
            "OUTBOX_JOBS_RETENTION",
            number
        )
    );
}

tl::expected<outbox::JobFilter, http::Response> filter_of(const http::Request& request) {
    outbox::JobFilter filter;
    const auto word = request.query("state");
    if (!word || word->empty()) return filter;
    if (*word == "open") {
        filter.is_open = true;
        return filter;
    }
    filter.state = outbox::parse_job_state(*word);
    if (!filter.state)
        return tl::unexpected(
            invalid("state", "state is open, waiting, running, done, cancelled or failed")
        );
    return filter;
}

}  // namespace

void JobsApi::add_routes(http::Router& router) {
    using http::Method;
    const std::string path = "/api/console/v1/jobs";
    router.add(
        Method::get,
        path,
        [this](http::Request request) { return list(std::move(request)); },
        http::Role::viewer
    );
    router.add(
        Method::get,
        path + "/{id}",
        [this](http::Request request) { return get(std::move(request)); },
        http::Role::viewer
    );
    router.add(
        Method::post,
        path + "/{id}/cancel",
        [this](http::Request request) { return cancel(std::move(request)); },
        http::Role::operator_
    );
}

Task<http::Response> JobsApi::list(http::Request request) {
    const auto page = number_page(request);
    if (!page) co_return page.error();
    auto filter = filter_of(request);
    if (!filter) co_return filter.error();
    filter->before = page->before;
    co_return co_await context_.cache
        .answer("jobs " + request.target, kKept, [this, filter = *filter, rows = page->rows]() {
            return make_list(filter, rows, Deadline::in(kListTime));
        });
}

Task<http::Response> JobsApi::make_list(
    outbox::JobFilter filter, std::size_t rows, Deadline deadline
) {
    auto session = co_await context_.pool.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    auto found = co_await outbox::jobs(**session, filter, rows + 1, deadline);
    if (!found) co_return problem_of(found.error());
    co_return page_of(std::move(*found), rows, job_json);
}

Task<http::Response> JobsApi::get(http::Request request) {
    const auto id = number_of(request.param("id"));
    if (!id) co_return no_job(request.param("id"));
    co_return co_await context_.cache.answer(fmt::format("job {}", *id), kKept, [this, id = *id]() {
        return make(id, Deadline::in(kListTime));
    });
}

Task<http::Response> JobsApi::make(std::int64_t id, Deadline deadline) {
    auto session = co_await context_.pool.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    const auto found = co_await outbox::job(**session, id, deadline);
    if (!found) co_return problem_of(found.error());
    if (!*found) co_return no_job(std::to_string(id));
    co_return ok(job_json(**found));
}

Task<http::Response> JobsApi::cancel(http::Request request) {
    auto reason = cancel_request(request.body);
    if (!reason) co_return reason.error();
    const auto id = number_of(request.param("id"));
    if (!id) co_return no_job(request.param("id"));
    const auto deadline = request.deadline.sooner(Deadline::in(OperatorSessions::kAnswerTime));
    auto session = co_await operators_.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    const auto cancelled = co_await operations::cancel(
        **session,
        *id,
        operations::Authority{actor_of(request.caller), "console", std::move(*reason)},
        deadline
    );
    if (!cancelled) co_return operators_.refusal(cancelled.error());
    co_return ok(job_json(*cancelled));
}

}  // namespace txstream::console
