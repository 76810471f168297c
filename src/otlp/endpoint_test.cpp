#include "otlp/endpoint.hpp"

#include "otlp/answer.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace txstream::otlp {
namespace {

using namespace std::chrono_literals;

TEST(EndpointTest, AUrlIsReadAndItsPathContinued) {
    const std::map<std::string, std::string> general{
        {"http://collector:4318", "http://collector:4318/v1/traces"},
        {"http://collector", "http://collector:4318/v1/traces"},
        {"https://collector/", "https://collector:4318/v1/traces"},
        {"http://127.0.0.1:80/otlp/", "http://127.0.0.1:80/otlp/v1/traces"},
        {"http://[::1]:4318", "http://[::1]:4318/v1/traces"},
        {"http://[fe80::1]", "http://[fe80::1]:4318/v1/traces"},
    };
    for (const auto& [url, target] : general) {
        const auto endpoint = parse_endpoint(url, "/v1/traces");
        ASSERT_TRUE(endpoint) << url;
        EXPECT_EQ(endpoint->url(), target);
    }
    EXPECT_EQ(parse_endpoint("http://c/v1/traces")->target, "/v1/traces");
    EXPECT_EQ(parse_endpoint("http://c")->target, "/");
    EXPECT_EQ(parse_endpoint("http://c/x/")->target, "/x/");
    EXPECT_EQ(parse_endpoint("http://[::1]:1")->host, "::1");
}

TEST(EndpointTest, WhatIsNoUrlOfOursIsRefused) {
    for (const std::string url :
         {"",
          "collector:4318",
          "grpc://collector:4317",
          "HTTP://collector",
          "http://",
          "http://:4318",
          "http://c:",
          "http://c:0",
          "http://c:65536",
          "http://c:4318x",
          "http://[::1",
          "http://[::1]4318",
          "http://user:password@c",
          "http://c/?x=1",
          "http://c#x",
          "http://c /",
          "http://c/\n",
          "http://caf\xc3\xa9"})
        EXPECT_FALSE(parse_endpoint(url)) << url;
    EXPECT_FALSE(parse_endpoint("http://" + std::string(2050, 'c')));
}

TEST(PairsTest, TheyAreSeparatedByCommasAndDecoded) {
    const Pairs expected{{"authorization", "Bearer a=b"}, {"x", ""}, {"S\u00e3o", "1,2"}};
    const auto pairs = parse_pairs(" authorization = Bearer%20a=b , x=,, S%C3%A3o=1%2C2 ");
    ASSERT_TRUE(pairs);
    EXPECT_EQ(*pairs, expected);
    EXPECT_TRUE(parse_pairs("")->empty());
}

TEST(PairsTest, WhatIsWrongIsNamedByItsPlaceAndNeverShown) {
    for (const std::string text :
         {"a=1,secret",
          "a=1,=secret",
          "a=1,secret=%",
          "a=1,secret=%4",
          "a=1,secret=%zz",
          "a=1,secret=%ff"}) {
        const auto pairs = parse_pairs(text);
        ASSERT_FALSE(pairs) << text;
        EXPECT_NE(pairs.error().what().find("member 2"), std::string::npos);
        EXPECT_EQ(pairs.error().what().find("secret"), std::string::npos);
    }
    std::string many;
    for (int i = 0; i < 129; ++i) many += "k" + std::to_string(i) + "=1,";
    EXPECT_FALSE(parse_pairs(many));
    EXPECT_FALSE(parse_pairs("k=" + std::string(17'000, 'v')));
}

TEST(PairsTest, AHeaderCannotBreakTheRequestOrTakeThePlaceOfOurs) {
    EXPECT_TRUE(check_headers({{"authorization", "Basic x=="}, {"X-Scope-OrgID", "1"}}));
    for (const Pairs& bad :
         {Pairs{{"a b", "1"}},
          Pairs{{"a:", "1"}},
          Pairs{{"a", "1\r\nb: 2"}},
          Pairs{{"a", "S\u00e3o"}},
          Pairs{{"Content-Length", "1"}},
          Pairs{{"HOST", "x"}}})
        EXPECT_FALSE(check_headers(bad)) << bad.front().first;
}

TEST(AnswerTest, OnlyFourStatusesMayPass) {
    for (const int status : {200, 202, 204, 299}) EXPECT_EQ(verdict_of(status), Verdict::taken);
    for (const int status : {429, 502, 503, 504}) EXPECT_EQ(verdict_of(status), Verdict::later);
    for (const int status : {100, 301, 400, 401, 404, 408, 413, 415, 500, 501, 505})
        EXPECT_EQ(verdict_of(status), Verdict::refused) << status;
}

TEST(AnswerTest, ACollectorMayAskForAPauseUpToALimit) {
    EXPECT_EQ(pause_of("0"), 0ms);
    EXPECT_EQ(pause_of("7"), 7s);
    EXPECT_EQ(pause_of("31"), kPauseMax);
    EXPECT_EQ(pause_of("99999999999999999999999"), kPauseMax);
    for (const auto* const text : {"", "-1", "1.5", " 1", "Fri, 31 Dec 1999 23:59:59 GMT"})
        EXPECT_FALSE(pause_of(text)) << text;
}

}  // namespace
}  // namespace txstream::otlp
