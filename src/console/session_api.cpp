#include "console/session_api.hpp"

#include "base/embedded_file.hpp"
#include "base/version.hpp"
#include "console/json.hpp"

#include <nlohmann/json.hpp>

#include <span>

namespace txstream::console {

namespace embedded {
std::span<const base::EmbeddedFile> openapi();
}

namespace {

Json text_or_null(const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(text);
}

}  // namespace

void SessionApi::add_routes(http::Router& router) {
    using enum http::Method;
    const auto viewer = http::Role::viewer;
    router.add(
        get,
        "/api/console/v1/session",
        [this](http::Request request) { return session(std::move(request)); },
        viewer
    );
    // Who has only a link has no role yet.
    router.add(post, "/api/console/v1/session", [this](http::Request request) {
        return open(std::move(request));
    });
    router.add(
        get,
        "/api/console/v1/openapi.json",
        [](http::Request) -> Task<http::Response> {
            co_return http::json(200, std::string(embedded::openapi().front().bytes));
        },
        viewer
    );
}

Task<http::Response> SessionApi::session(http::Request request) {
    const auto& settings = context_.settings;
    const auto now =
        std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    co_return ok(Json{
        {"name", request.caller.name},
        {"role", http::to_string(request.caller.role)},
        {"environment", settings.environment},
        {"version", version()},
        {"revision", revision()},
        {"topic", settings.topic},
        {"features", {{"orders", settings.has_orders}, {"operations", !settings.is_read_only}}},
        {"links",
         {{"grafana", text_or_null(settings.grafana_url)},
          {"trace", text_or_null(settings.trace_url)}}},
        {"is_masked", !settings.masks.empty() && request.caller.role != http::Role::operator_},
        {"is_insecure", settings.is_insecure},
        {"server_time", rfc3339(now)},
        {"refresh_floor_s", settings.refresh_floor_s}
    });
}

Task<http::Response> SessionApi::open(http::Request request) {
    const auto body = Json::parse(request.body, nullptr, false);
    const auto one_time = body.is_object() ? body.find("one_time_token") : body.end();
    if (!body.is_object() || one_time == body.end() || !one_time->is_string())
        co_return invalid("one_time_token", "one_time_token must be a text, that of the link");
    const auto now = http::Access::Clock::now();
    auto issued = access_.exchange(one_time->get_ref<const std::string&>(), request.peer, now);
    if (!issued) {
        const auto& refusal = issued.error();
        auto response = problem(
            refusal.status, refusal.status == 429 ? "too_many" : "unauthorized", refusal.text
        );
        co_return std::move(response);
    }
    const auto until = std::chrono::system_clock::now() + (issued->until - now);
    co_return ok(Json{
        {"token", issued->token},
        {"role", http::to_string(issued->caller.role)},
        {"expires_at", rfc3339(std::chrono::floor<std::chrono::microseconds>(until))}
    });
}

}  // namespace txstream::console
