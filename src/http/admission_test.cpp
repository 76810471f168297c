#include "http/admission.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace txstream::http {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

Request request(Method method, const Fields& headers, std::string_view target = "/a") {
    auto made = Request::make(method, target).value();
    for (const auto& [name, value] : headers) made.headers.add(name, value);
    return made;
}

Admission guard(std::vector<std::string> hosts = {}, bool is_loopback = true) {
    Admission admission({.only_json = true, .checks_hosts = true, .hosts = std::move(hosts)});
    admission.listens_on("127.0.0.1", is_loopback);
    return admission;
}

int status(const Admission& admission, const Request& asked, bool has_body = false) {
    const auto refusal = admission.refuse(asked, has_body);
    return refusal ? refusal->status : 200;
}

int post(const Admission& admission, Fields headers) {
    headers.emplace_back("Content-Type", "application/json");
    return status(admission, request(Method::post, headers), true);
}

TEST(AdmissionTest, OnlyJsonIsTakenAsABody) {
    const auto of_type = [](const char* type) {
        return status(
            guard(), request(Method::post, {{"Host", "localhost"}, {"Content-Type", type}}), true
        );
    };
    for (const char* const type :
         {"application/json",
          "Application/JSON",
          "application/json; charset=utf-8",
          "application/json;charset=\"UTF-8\"",
          "application/json ; x=y",
          "application/json;",
          "application/problem+json",
          "application/vnd.api+json"})
        EXPECT_EQ(of_type(type), 200) << type;
    for (const char* const type :
         {"",
          "text/plain",
          "text/plain; application/json",
          "text/plain, application/json",
          "application/x-www-form-urlencoded",
          "multipart/form-data; boundary=x",
          "application/jsonp",
          "application/+json",
          "application/json+x",
          "application/json, text/plain",
          "application/json; charset=latin1",
          "application/json; charset=utf-8; charset=utf-16",
          "text/json"})
        EXPECT_EQ(of_type(type), 415) << type;
    EXPECT_EQ(status(guard(), request(Method::post, {{"Host", "localhost"}}), true), 415);
    EXPECT_EQ(status(guard(), request(Method::post, {{"Host", "localhost"}}), false), 200);
}

TEST(AdmissionTest, AServerOnLoopbackIsCalledByNoOtherName) {
    for (const char* const host :
         {"localhost",
          "LocalHost:8080",
          "localhost.",
          "localhost.:8080",
          "127.0.0.1:8080",
          "127.9.9.9",
          "[::1]:1",
          "[0:0::1]"})
        for (const auto method : {Method::get, Method::head, Method::options})
            EXPECT_EQ(status(guard(), request(method, {{"Host", host}})), 200) << host;
    for (const char* const host :
         {"evil.example",
          "evil.example:8080",
          "localhost.evil.example",
          "127.0.0.1.evil.example",
          "evillocalhost",
          "10.0.0.1",
          "0.0.0.0",
          "[::2]",
          "2130706433",
          "0x7f.1"})
        for (const auto method : {Method::get, Method::post, Method::options})
            EXPECT_EQ(status(guard(), request(method, {{"Host", host}})), 403) << host;
    // A client of HTTP/1.0 need not say whom it calls; a browser does.
    EXPECT_EQ(status(guard(), request(Method::get, {})), 200);
}

TEST(AdmissionTest, AnAbsoluteTargetNamesAHostToo) {
    const auto of_target = [](const char* target, const char* host) {
        return status(guard(), request(Method::get, {{"Host", host}}, target));
    };
    EXPECT_EQ(of_target("http://localhost:8080/a", "localhost"), 200);
    EXPECT_EQ(of_target("http://evil.example/a", "localhost"), 403);
    EXPECT_EQ(of_target("http://localhost/a", "evil.example"), 403);
}

TEST(AdmissionTest, TheSettingAddsNames) {
    const auto get = [](const Admission& admission, const char* host) {
        return status(admission, request(Method::get, {{"Host", host}}));
    };
    const auto named = guard({"API.example"});
    EXPECT_EQ(get(named, "api.example:80"), 200);
    EXPECT_EQ(get(named, "x.api.example"), 403);
    EXPECT_EQ(get(named, "localhost"), 200);
    EXPECT_EQ(get(guard({"*"}), "evil.example"), 200);
    EXPECT_EQ(get(guard({}, false), "anything.example"), 200);
    EXPECT_EQ(get(guard({"api.example"}, false), "anything.example"), 403);
    EXPECT_EQ(get(guard({"api.example"}, false), "10.1.2.3:8080"), 200);
    for (const char* const host : {"a.example", "10.0.0.1", "[::1]", "*"})
        EXPECT_TRUE(Admission::is_host(host)) << host;
    for (const char* const host : {"", "http://a", "a:80", "a:", "a/b", "a b", "*.a", "u@a"})
        EXPECT_FALSE(Admission::is_host(host)) << host;
}

TEST(AdmissionTest, APageOfAnotherOriginDoesNotWrite) {
    const auto from = [](const char* origin, const char* host = "localhost:8080") {
        return post(guard({"console.example"}), {{"Host", host}, {"Origin", origin}});
    };
    EXPECT_EQ(from("http://localhost:8080"), 200);
    EXPECT_EQ(from("HTTP://LOCALHOST:8080"), 200);
    EXPECT_EQ(from("http://localhost", "localhost:80"), 200);
    EXPECT_EQ(from("https://localhost", "localhost"), 200);
    EXPECT_EQ(from("https://console.example"), 200);
    for (const char* const origin :
         {"http://evil.example",
          "null",
          "",
          "http://localhost:3000",
          "http://127.0.0.1:8080",
          "http://localhost:8080.evil.example",
          "http://localhost:8080@evil.example",
          "http://evil.example, http://localhost:8080",
          "file://",
          "chrome-extension://abc",
          "http://console.example.evil.example"})
        EXPECT_EQ(from(origin), 403) << origin;
    EXPECT_EQ(post(Admission(), {{"Host", "api.example"}, {"Origin", "http://evil.example"}}), 403);
    // Reading is what Host guards.
    EXPECT_EQ(
        status(
            guard(),
            request(Method::get, {{"Host", "localhost"}, {"Origin", "http://evil.example"}})
        ),
        200
    );
}

TEST(AdmissionTest, WhatABrowserSaysOfThePageCounts) {
    const auto site = [](const char* word, Fields more = {}) {
        more.emplace_back("Host", "localhost:8080");
        more.emplace_back("Sec-Fetch-Site", word);
        return post(guard(), more);
    };
    EXPECT_EQ(site("same-origin"), 200);
    EXPECT_EQ(site("none"), 200);
    EXPECT_EQ(site("cross-site"), 403);
    EXPECT_EQ(site("same-site"), 403);
    EXPECT_EQ(site("Cross-Site"), 403);
    EXPECT_EQ(site("something new"), 403);
    EXPECT_EQ(site("cross-site", {{"Origin", "http://localhost:8080"}}), 403);
    EXPECT_EQ(site("same-origin", {{"Origin", "http://evil.example"}}), 403);
    for (const auto method : {Method::put, Method::patch, Method::delete_})
        EXPECT_EQ(
            status(
                guard(), request(method, {{"Host", "localhost"}, {"Sec-Fetch-Site", "cross-site"}})
            ),
            403
        );
}

}  // namespace
}  // namespace txstream::http
