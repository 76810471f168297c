#include "http/admission.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace txstream::http {
namespace {

Admission guard(
    std::vector<std::string> origins = {}, bool is_tls = false, bool is_loopback = true
) {
    Admission admission(
        {.checks_hosts = true,
         .hosts = {"console.example"},
         .pages = Admission::Pages::proof_needed,
         .origins = std::move(origins),
         .hosts_setting = "CONSOLE_ALLOWED_HOSTS",
         .origins_setting = "CONSOLE_ORIGINS"}
    );
    admission.listens_on("127.0.0.1", is_loopback, is_tls);
    return admission;
}

using Value = std::optional<std::string>;

struct Sent {
    Value site = std::nullopt;
    Value origin = std::nullopt;
    bool has_token = false;
    std::string host = "localhost:8082";
};

Request request(Method method, const Sent& sent) {
    auto made = Request::make(method, "/a").value();
    made.headers.add("Host", sent.host);
    if (sent.site) made.headers.add("Sec-Fetch-Site", *sent.site);
    if (sent.origin) made.headers.add("Origin", *sent.origin);
    if (sent.has_token) made.headers.add("Authorization", "Bearer 0123456789abcdef");
    return made;
}

bool writes(const Admission& admission, const Sent& sent) {
    return !admission.refuse(request(Method::post, sent), true);
}

bool streams(const Admission& admission, const Sent& sent) {
    const auto asked = request(Method::get, sent);
    return !admission.refuse(asked, false) && !admission.refuse_stream(asked);
}

// Aim: the decision for every combination of what a browser says of the page, and of a token.
// Method: a table written by hand, in which a row is a site, a column an origin, and each cell says
// whether a caller without and with a token is accepted.
TEST(AdmissionProofTest, TheWholeMatrix) {
    constexpr int kNone = 0, kAll = 1, kToken = 2;
    const std::vector<Value> origins = {
        "http://localhost:8082", "http://localhost:8083", "null", std::nullopt
    };
    const std::vector<std::pair<Value, std::vector<int>>> rows = {
        {"same-origin", {kAll, kAll, kAll, kAll}},
        {"same-site", {kNone, kNone, kNone, kNone}},
        {"cross-site", {kNone, kNone, kNone, kNone}},
        {"none", {kAll, kAll, kAll, kAll}},
        {std::nullopt, {kAll, kNone, kNone, kToken}},
    };
    for (const auto& [site, cells] : rows) {
        for (std::size_t i = 0; i < origins.size(); ++i) {
            for (const bool has_token : {false, true}) {
                const Sent sent{.site = site, .origin = origins[i], .has_token = has_token};
                const bool wanted = cells[i] == kAll || (cells[i] == kToken && has_token);
                SCOPED_TRACE(
                    site.value_or("absent") + ", " + origins[i].value_or("absent") + ", " +
                    (has_token ? "token" : "no token")
                );
                EXPECT_EQ(streams(guard(), sent), wanted);
                for (const auto method :
                     {Method::post, Method::put, Method::patch, Method::delete_, Method::other})
                    EXPECT_EQ(!guard().refuse(request(method, sent), true), wanted);
                for (const auto method : {Method::get, Method::head, Method::options})
                    EXPECT_FALSE(guard().refuse(request(method, sent), false));
                // Under a foreign host name nothing is accepted at all.
                auto rebound = sent;
                rebound.host = "evil.example:8082";
                for (const auto method : {Method::get, Method::post})
                    EXPECT_TRUE(guard().refuse(request(method, rebound), false));
            }
        }
    }
}

TEST(AdmissionProofTest, AnOriginIsComparedAsAWhole) {
    const auto from = [](const Admission& admission, const char* origin, const char* host) {
        return writes(admission, {.origin = origin, .host = host});
    };
    EXPECT_TRUE(from(guard(), "http://LOCALHOST:8082", "localhost:8082"));
    EXPECT_TRUE(from(guard(), "http://localhost", "localhost:80"));
    EXPECT_TRUE(from(guard(), "http://localhost:80", "localhost"));
    EXPECT_TRUE(from(guard({}, true), "https://localhost", "localhost:443"));
    EXPECT_TRUE(from(guard({}, true), "https://localhost:8082", "localhost:8082"));
    for (const char* const origin :
         {"https://localhost:8082",
          "http://localhost",
          "http://127.0.0.1:8082",
          "http://localhost:80820",
          "http://localhost:8082.evil.example",
          "http://localhost:8082@evil.example",
          "http://localhost:8082/",
          "http://localhost:8082, http://localhost:8082",
          "http://console.example",
          "localhost:8082",
          "file://",
          ""})
        EXPECT_FALSE(from(guard(), origin, "localhost:8082")) << origin;
    EXPECT_FALSE(from(guard({}, true), "http://localhost:8082", "localhost:8082"));
}

TEST(AdmissionProofTest, OriginsThatAProxyHasAreConfigured) {
    const auto admission = guard({"https://ops.example", "https://a.example:8443"});
    const auto from = [&](const char* origin) {
        return writes(admission, {.origin = origin, .host = "console.example"});
    };
    EXPECT_TRUE(from("https://ops.example"));
    EXPECT_TRUE(from("https://ops.example:443"));
    EXPECT_TRUE(from("https://a.example:8443"));
    EXPECT_FALSE(from("http://ops.example"));
    EXPECT_FALSE(from("https://ops.example:8443"));
    EXPECT_FALSE(from("https://x.ops.example"));
    EXPECT_FALSE(from("https://ops.example.evil.example"));
    for (const char* const origin : {"https://a.example", "http://127.0.0.1:80", "https://[::1]"})
        EXPECT_TRUE(Admission::is_origin(origin)) << origin;
    for (const char* const origin :
         {"a.example", "null", "https://a/", "https://a:", "*", "ftp://a"})
        EXPECT_FALSE(Admission::is_origin(origin)) << origin;
}

TEST(AdmissionProofTest, ATokenIsABearerToken) {
    for (const char* const value : {"Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "BearerX", ""}) {
        auto asked = request(Method::post, {});
        asked.headers.add("Authorization", value);
        EXPECT_TRUE(guard().refuse(asked, false)) << value;
    }
    auto asked = request(Method::post, {});
    asked.headers.add("Authorization", "bearer x");
    EXPECT_FALSE(guard().refuse(asked, false));
}

TEST(AdmissionProofTest, OffLoopbackANameMustBeListedToo) {
    const auto asked = [](const char* host) {
        return !guard({}, false, false).refuse(request(Method::get, {.host = host}), false);
    };
    EXPECT_TRUE(asked("console.example:8082"));
    EXPECT_TRUE(asked("10.1.2.3:8082"));
    EXPECT_TRUE(asked("localhost:8082"));
    EXPECT_FALSE(asked("anything.example"));
}

TEST(AdmissionProofTest, ARefusalNamesTheSettingOfItsServer) {
    const auto host = guard().refuse(request(Method::get, {.host = "evil.example"}), false);
    EXPECT_NE(host.value().text.find("CONSOLE_ALLOWED_HOSTS"), std::string::npos);
    const auto origin = guard().refuse(request(Method::post, {.origin = "http://a"}), false);
    EXPECT_NE(origin.value().text.find("CONSOLE_ORIGINS"), std::string::npos);
}

}  // namespace
}  // namespace txstream::http
