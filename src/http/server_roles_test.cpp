#include "http/access.hpp"
#include "http/test_support.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>

namespace txstream::http {
namespace {

using namespace test;

constexpr std::array kRoles = {Role::none, Role::viewer, Role::operator_};

class ServerRolesTest : public ServerTest {
protected:
    ServerRolesTest() {
        options_.access = &access_;
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

    // A token of that role, as a link would have opened it.
    std::string token(Role role) {
        const auto now = Access::Clock::now();
        const auto link = access_.tokens().issue_link({"test", role}, now);
        return access_.tokens().exchange(link.token, now).value().token;
    }

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

    Access access_{Tokens({})};
    std::atomic<int> entered_count_ = 0;
};

struct Sender {
    Role anonymous;
    std::optional<Role> of_token;
    Role most = Role::operator_;

    Role role() const { return std::min(most, std::max(anonymous, of_token.value_or(Role::none))); }
};

class ServerRolesTableTest : public ServerRolesTest, public testing::WithParamInterface<Sender> {
public:
    ~ServerRolesTableTest() override { shut_down(); }
};

// Aim: no method of any route gets past the role that it needs. Method: every route that was added,
// every method, in one server per kind of caller; the handlers count how often they ran.
TEST_P(ServerRolesTableTest, EveryRouteRefusesEveryMethodThatTheRoleDoesNotAllow) {
    const auto sender = GetParam();
    const auto role = sender.role();
    options_.anonymous = sender.anonymous;
    options_.most = sender.most;
    std::string authorization;
    if (sender.of_token)
        authorization = "Authorization: Bearer " + token(*sender.of_token) + "\r\n";
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
                "{} {} HTTP/1.1\r\nHost: x\r\n{}\r\n",
                to_string(method),
                route == "/read/{id}" ? "/read/1" : route,
                authorization
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

std::vector<Sender> senders() {
    std::vector<Sender> all;
    for (const auto anonymous : kRoles) all.push_back({anonymous, std::nullopt});
    for (const auto of_token : {Role::viewer, Role::operator_})
        all.push_back({Role::none, of_token});
    all.push_back({Role::viewer, Role::operator_});
    all.push_back({Role::none, Role::operator_, Role::viewer});
    all.push_back({Role::operator_, std::nullopt, Role::viewer});
    return all;
}

INSTANTIATE_TEST_SUITE_P(
    Senders,
    ServerRolesTableTest,
    testing::ValuesIn(senders()),
    [](const auto& info) {
        const auto of_token = info.param.of_token;
        return std::string(to_string(info.param.anonymous)) + "_" +
               (of_token ? "token_of_" + std::string(to_string(*of_token)) : "without_token") +
               "_at_most_" + std::string(to_string(info.param.most));
    }
);

TEST_F(ServerRolesTest, AWrongTokenIsRefusedWhereNoneIsNeeded) {
    options_.anonymous = Role::operator_;
    start();
    Client client(port_);
    for (const char* const path : {"/hello", "/read/1", "/nowhere"}) {
        const auto reply = client.ask(
            fmt::format("GET {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\n\r\n", path)
        );
        EXPECT_EQ(reply.status, 401) << path;
        EXPECT_TRUE(reply.has("WWW-Authenticate: Bearer\r\n"));
    }
    EXPECT_EQ(entered_count_, 0);
    EXPECT_EQ(counts().tokens_refused, 3);
}

TEST_F(ServerRolesTest, WhoTriesTokensIsToldToWait) {
    start();
    Client client(port_);
    const auto tries = [&](int i) {
        return client.ask(
            fmt::format("GET /hello HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", i)
        );
    };
    for (int i = 0; i < 10; ++i) EXPECT_EQ(tries(i).status, 401);
    const auto reply = tries(10);
    EXPECT_EQ(reply.status, 429);
    EXPECT_TRUE(reply.has("Retry-After: "));
    EXPECT_FALSE(reply.has("WWW-Authenticate"));
    EXPECT_EQ(client.ask(kHello).status, 200);
}

}  // namespace
}  // namespace txstream::http
