#include "http/test_support.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

namespace txstream::http {
namespace {

using namespace test;

constexpr std::array kRoles = {Role::none, Role::viewer, Role::operator_};

class ServerRolesTest : public ServerTest {
protected:
    ServerRolesTest() {
        const auto handler = [this](Request request) -> Task<Response> {
            ++entered_count_;
            co_return text(200, std::string(to_string(request.caller.role)));
        };
        router_.add(Method::get, "/read/{id}", handler, Role::viewer);
        router_.add(Method::get, "/both", handler, Role::viewer);
        router_.add(Method::post, "/both", handler, Role::operator_);
        router_.add(Method::head, "/heads", handler, Role::operator_);
        router_.add(Method::get, "/heads", handler);
        for (const auto method : {Method::post, Method::put, Method::patch, Method::delete_})
            router_.add(method, "/write", handler, Role::operator_);
    }
    ~ServerRolesTest() override { shut_down(); }

    // What the table of routes says, found without the router.
    int expected(std::string_view route, Method method, Role role) const {
        std::optional<Role> least;
        std::optional<Role> of_get;
        std::optional<Role> of_any;
        for (const auto& listed : router_.routes()) {
            if (listed.route != route) continue;
            if (listed.method == method) least = listed.least;
            if (listed.method == Method::get) of_get = listed.least;
            if (!of_any || listed.least < *of_any) of_any = listed.least;
        }
        if (!least && method == Method::head) least = of_get;
        const int found = method == Method::options ? 204 : least ? 200 : 405;
        if (method == Method::options) least = of_any;
        if (!least || role >= *least) return found;
        return role == Role::none ? 401 : 403;
    }

    std::atomic<int> entered_count_ = 0;
};

class ServerRolesTableTest : public ServerRolesTest, public testing::WithParamInterface<Role> {
public:
    ~ServerRolesTableTest() override { shut_down(); }
};

// Aim: no method of any route gets past the role that it needs. Method: every route that was added,
// every method, in one server per role; the handlers count how often they ran.
TEST_P(ServerRolesTableTest, EveryRouteRefusesEveryMethodThatTheRoleDoesNotAllow) {
    const auto role = GetParam();
    options_.anonymous = role;
    start();
    int allowed = 0;
    for (const std::string_view route : {"/read/{id}", "/both", "/heads", "/write"}) {
        for (const auto method :
             {Method::get,
              Method::head,
              Method::post,
              Method::put,
              Method::patch,
              Method::delete_,
              Method::options}) {
            Client client(port_);
            client.send(fmt::format(
                "{} {} HTTP/1.1\r\nHost: x\r\n\r\n",
                to_string(method),
                route == "/read/{id}" ? "/read/1" : route
            ));
            const auto reply = client.read(method != Method::head);
            const int wanted = expected(route, method, role);
            EXPECT_EQ(reply.status, wanted) << to_string(method) << ' ' << route;
            EXPECT_EQ(reply.has("WWW-Authenticate: Bearer\r\n"), wanted == 401);
            if (wanted == 200) ++allowed;
            if (wanted == 200 && method == Method::get) EXPECT_EQ(reply.body, to_string(role));
        }
    }
    EXPECT_EQ(entered_count_, allowed);
}

INSTANTIATE_TEST_SUITE_P(
    Roles,
    ServerRolesTableTest,
    testing::ValuesIn(kRoles),
    [](const auto& info) { return std::string(to_string(info.param)); }
);

}  // namespace
}  // namespace txstream::http
