#include "http/router.hpp"

#include <gtest/gtest.h>

namespace txstream::http {
namespace {

Task<Response> nothing(Request) {
    co_return Response();
}

Router orders() {
    Router router;
    router.add(Method::get, "/orders/{id}", nothing);
    router.add(Method::get, "/orders/number/{number}", nothing);
    router.add(Method::get, "/orders/stats", nothing);
    router.add(Method::get, "/orders", nothing);
    router.add(Method::post, "/orders", nothing);
    router.add(Method::get, "/", nothing);
    return router;
}

std::string_view route_of(const Router& router, std::string_view target) {
    auto request = Request::make(Method::get, target).value();
    return router.find(request).route;
}

TEST(RouterTest, ALiteralSegmentWinsOverAParameter) {
    const auto router = orders();
    EXPECT_EQ(route_of(router, "/orders/stats"), "/orders/stats");
    EXPECT_EQ(route_of(router, "/orders/other"), "/orders/{id}");
    EXPECT_EQ(route_of(router, "/orders/number/ORD-001"), "/orders/number/{number}");
    EXPECT_EQ(route_of(router, "/orders?limit=1"), "/orders");
    EXPECT_EQ(route_of(router, "/"), "/");
}

TEST(RouterTest, AnEmptySegmentIsNoParameter) {
    const auto router = orders();
    EXPECT_EQ(route_of(router, "/orders/"), "unmatched");
    EXPECT_EQ(route_of(router, "//"), "unmatched");
    EXPECT_EQ(route_of(router, "/orders/number/x/y"), "unmatched");
}

TEST(RouterTest, ParamsAreNamedByTheTemplate) {
    const auto router = orders();
    auto request = Request::make(Method::head, "/orders/number/A%2FB").value();
    EXPECT_NE(router.find(request).handler, nullptr);
    EXPECT_EQ(request.param("number"), "A/B");
    EXPECT_EQ(request.param("id"), "");
}

TEST(RouterTest, AllowListsWhatThePathTakes) {
    const auto router = orders();
    auto request = Request::make(Method::put, "/orders").value();
    const auto match = router.find(request);
    EXPECT_EQ(match.handler, nullptr);
    EXPECT_EQ(match.refusal.status, 405);
    ASSERT_EQ(match.refusal.headers.size(), 1u);
    EXPECT_EQ(match.refusal.headers[0].second, "GET, HEAD, POST, OPTIONS");
}

TEST(RouterTest, EveryRouteIsListedWithTheRoleItNeeds) {
    Router router;
    router.add(Method::get, "/a", nothing, Role::viewer);
    router.add(Method::post, "/a", nothing, Role::operator_);
    router.add(Method::get, "/b/{id}", nothing);
    const auto routes = router.routes();
    ASSERT_EQ(routes.size(), 3u);
    auto request = Request::make(Method::head, "/a").value();
    EXPECT_EQ(router.find(request).least, Role::viewer);
    request = Request::make(Method::post, "/a").value();
    EXPECT_EQ(router.find(request).least, Role::operator_);
    request = Request::make(Method::options, "/a").value();
    EXPECT_EQ(router.find(request).least, Role::viewer);
}

TEST(RequestTest, HeadersAreFoundWithoutRegardToCase) {
    Headers headers;
    headers.add("Content-Type", "a");
    headers.add("content-type", "b");
    EXPECT_EQ(headers.find("CONTENT-TYPE"), "a");
    EXPECT_EQ(headers.count("content-Type"), 2u);
    EXPECT_EQ(headers.find("Content"), std::nullopt);
}

}  // namespace
}  // namespace txstream::http
