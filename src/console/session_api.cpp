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
        {"features", {{"orders", settings.has_orders}, {"operations", false}}},
        {"links",
         {{"grafana", text_or_null(settings.grafana_url)},
          {"trace", text_or_null(settings.trace_url)}}},
        {"is_masked", !settings.masks.empty() && request.caller.role != http::Role::operator_},
        {"is_insecure", settings.is_insecure},
        {"server_time", rfc3339(now)},
        {"refresh_floor_s", settings.refresh_floor_s}
    });
}

}  // namespace txstream::console
