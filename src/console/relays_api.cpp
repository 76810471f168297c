#include "console/relays_api.hpp"

#include "console/relays_json.hpp"

#include <nlohmann/json.hpp>

namespace txstream::console {

namespace {

using namespace std::chrono_literals;

constexpr auto kAnswerAge = 1s;

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
    const auto deadline = Deadline::in(kStatementTimeout + 500ms);
    const auto session = co_await context_.pool.acquire(deadline);
    if (!session) co_return problem_of(session.error());
    const auto made = co_await read_relays(**session, deadline);
    co_return made ? ok(*made) : problem_of(made.error());
}

}  // namespace txstream::console
