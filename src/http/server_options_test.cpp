#include "http/test_support.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace txstream::http {
namespace {

using namespace test;

class ServerOptionsTest : public ServerTest {
protected:
    ServerOptionsTest() {
        options_.problems = Problems::details;
        options_.headers = page_headers();
        options_.admission = Admission({.only_json = true, .checks_hosts = true, .hosts = {"x"}});
        router_.add(
            Method::get,
            "/secret",
            [](Request) -> Task<Response> { co_return text(200, "secret"); },
            Role::viewer
        );
        router_.add(Method::get, "/cached", [](Request) -> Task<Response> {
            co_return text(200, "asset")
                .with("Cache-Control", "public, max-age=31536000, immutable")
                .with("Vary", "Accept-Encoding");
        });
    }
    ~ServerOptionsTest() override { shut_down(); }
};

struct Refused {
    std::string request;
    int status;
    std::string code;
};

const std::vector<Refused>& refused() {
    static const std::string host = " HTTP/1.1\r\nHost: x\r\n";
    static const std::vector<Refused> all = {
        {"GET /none" + host + "\r\n", 404, "not_found"},
        {"PUT /echo" + host + "\r\n", 405, "method_not_allowed"},
        {"BREW /echo" + host + "\r\n", 501, "not_supported"},
        {"GET /secret" + host + "\r\n", 401, "unauthorized"},
        {"GET /hello HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403, "forbidden"},
        {"POST /echo" + host + "Content-Length: 1\r\n\r\nx", 415, "unsupported_media_type"},
        {"nonsense\r\n\r\n", 400, "invalid"},
        {"POST /echo" + host + "Content-Type: application/json\r\nContent-Length: 9999\r\n\r\n",
         413,
         "too_large"},
        {"GET /hello" + host + "X: " + std::string(600, 'x') + "\r\n\r\n", 431, "too_large"},
        {"GET /throws" + host + "\r\n", 500, "internal"},
    };
    return all;
}

TEST_F(ServerOptionsTest, EveryRefusalIsAProblem) {
    start();
    for (const auto& [request, status, code] : refused()) {
        Client client(port_);
        const auto reply = client.ask(request);
        EXPECT_EQ(reply.status, status) << request;
        EXPECT_TRUE(reply.has("Content-Type: application/problem+json\r\n")) << request;
        const auto at = reply.head.find("X-Request-Id: ") + 14;
        const auto id = reply.head.substr(at, reply.head.find("\r\n", at) - at);
        EXPECT_TRUE(reply.body.starts_with("{\"type\":\"about:blank\",\"title\":\"")) << reply.body;
        for (const auto& member :
             {"\"status\":" + std::to_string(status),
              "\"code\":\"" + code + "\"",
              "\"request_id\":\"" + id + "\"",
              std::string("\"detail\":\"")})
            EXPECT_NE(reply.body.find(member), std::string::npos) << member << ' ' << reply.body;
    }
}

TEST_F(ServerOptionsTest, AllowSurvivesTheOtherForm) {
    Client client(start());
    EXPECT_TRUE(client.ask("PUT /echo HTTP/1.1\r\nHost: x\r\n\r\n").has("Allow: POST, OPTIONS\r\n")
    );
    EXPECT_EQ(client.ask("OPTIONS /echo HTTP/1.1\r\nHost: x\r\n\r\n").status, 204);
}

TEST_F(ServerOptionsTest, EveryResponseHasTheHeadersOfThePage) {
    limits_.connections_max = 1;
    start();
    std::vector<Reply> replies;
    for (const auto& [request, status, code] : refused())
        replies.push_back(Client(port_).ask(request));
    while (counts().connections > 0) std::this_thread::yield();
    Client first(port_);
    replies.push_back(first.ask(kHello));
    replies.push_back(Client(port_).ask(kHello));
    EXPECT_EQ(replies.back().status, 503);
    for (const auto& reply : replies) {
        for (const auto& [name, value] : page_headers())
            EXPECT_TRUE(reply.has(fmt::format("{}: {}\r\n", name, value))) << name << '\n'
                                                                           << reply.head;
        EXPECT_FALSE(reply.has("Access-Control-"));
        EXPECT_FALSE(reply.has("Set-Cookie"));
    }
}

TEST_F(ServerOptionsTest, AResponseKnowsBetterWhetherItMayBeStored) {
    Client client(start());
    const auto reply = client.ask("GET /cached HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE(reply.has("Cache-Control: public, max-age=31536000, immutable\r\n"));
    EXPECT_FALSE(reply.has("no-store"));
    EXPECT_TRUE(reply.has("Vary: Accept-Encoding\r\n"));
    EXPECT_TRUE(reply.has("Vary: Sec-Fetch-Site, Origin\r\n"));
}

}  // namespace
}  // namespace txstream::http
