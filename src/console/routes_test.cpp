#include "base/embedded_file.hpp"
#include "console/console.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <map>
#include <span>
#include <string>

namespace txstream::console {

namespace embedded {
std::span<const base::EmbeddedFile> openapi();
}

namespace {

using Routes = std::map<std::string, http::Role>;

constexpr std::string_view kPrefix = "/api/console/v1";

/// "GET /path" and the role that it asks for, as the console adds them.
Routes added() {
    asio::io_context loop;
    http::Access access{http::Tokens({})};
    telemetry::Registry registry;
    const Metrics metrics(registry);
    Console console(
        {loop.get_executor(),
         std::string(),
         [] { return Result<kafka::Properties>(); },
         {},
         nullptr,
         access,
         metrics}
    );
    http::Router router;
    console.add_routes(router);
    Routes routes;
    for (const auto& listed : router.routes())
        routes.emplace(
            std::string(http::to_string(listed.method)) + " " + std::string(listed.route),
            listed.least
        );
    return routes;
}

/// The same of the contract, with what is promised: everything is for viewers, what changes
/// something for operators, and whoever has only a link may exchange it.
Routes promised() {
    const auto contract = nlohmann::json::parse(embedded::openapi().front().bytes);
    Routes routes;
    for (const auto& [path, item] : contract["paths"].items()) {
        for (const auto& [method, operation] : item.items()) {
            if (!operation.is_object()) continue;
            auto name = method;
            std::ranges::transform(name, name.begin(), [](unsigned char c) {
                return static_cast<char>(std::toupper(c));
            });
            const auto route = name + " " + std::string(kPrefix) + path;
            routes[route] = method == "get"                   ? http::Role::viewer
                            : path == std::string("/session") ? http::Role::none
                                                              : http::Role::operator_;
        }
    }
    // It describes itself to programs that have it.
    routes["GET " + std::string(kPrefix) + "/openapi.json"] = http::Role::viewer;
    return routes;
}

TEST(RoutesTest, EveryRouteIsInTheContractAndAsksForTheRoleOfItsKind) {
    EXPECT_EQ(added(), promised());
}

}  // namespace
}  // namespace txstream::console
