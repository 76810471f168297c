#include "console/relay_requests.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace txstream::console {
namespace {

using Scope = outbox::Pause::Scope;

/// The member that a refusal names.
template <class T>
std::string field(const tl::expected<T, http::Response>& request) {
    EXPECT_FALSE(request);
    if (request) return "";
    EXPECT_EQ(request.error().status, 400);
    const auto body = nlohmann::json::parse(request.error().body);
    return body.value("field", "");
}

TEST(RelayRequestsTest, APauseSaysWhatAndWhy) {
    const auto key = pause_request(R"({"what": "key", "name": "k\"1", "reason": "asked for"})");
    ASSERT_TRUE(key);
    EXPECT_EQ(*key, (outbox::Pause{Scope::key, "k\"1", "asked for"}));
    EXPECT_EQ(*pause_request(R"({"what": "everything"})"), outbox::Pause());
    EXPECT_EQ(pause_request(R"({"what": "topic", "name": "t", "reason": null})")->reason, "");
}

TEST(RelayRequestsTest, WhatIsNoPauseIsRefusedByName) {
    EXPECT_EQ(field(pause_request("[]")), "body");
    EXPECT_EQ(field(pause_request("{}")), "what");
    EXPECT_EQ(field(pause_request(R"({"what": "all"})")), "what");
    EXPECT_EQ(field(pause_request(R"({"what": 1})")), "what");
    EXPECT_EQ(field(pause_request(R"({"what": "topic"})")), "name");
    EXPECT_EQ(field(pause_request(R"({"what": "everything", "name": "t"})")), "name")
        << "a misread name would pause more";
    EXPECT_EQ(field(pause_request(R"({"what": "key", "name": "a\u0000b"})")), "name");
    EXPECT_EQ(
        field(pause_request(R"({"what": "key", "name": ")" + std::string(4097, 'k') + "\"}")),
        "name"
    );
    EXPECT_EQ(field(pause_request(R"({"what": "everything", "reason": 1})")), "reason");
    EXPECT_EQ(field(pause_request(R"({"what": "everything", "topic": "t"})")), "topic");
}

TEST(RelayRequestsTest, ADrainMaySayWhyAndIsForcedOnlyWhereItSaysSo) {
    const auto plain = drain_request(R"({"reason": ""})");
    ASSERT_TRUE(plain);
    EXPECT_FALSE(plain->is_forced);
    const auto forced = drain_request(R"({"reason": "a new kernel", "force": true})");
    ASSERT_TRUE(forced);
    EXPECT_TRUE(forced->is_forced);
    EXPECT_EQ(forced->reason, "a new kernel");
    EXPECT_EQ(field(drain_request(R"({"reason": "", "force": "yes"})")), "force");
    EXPECT_EQ(field(drain_request("{}")), "reason");
    EXPECT_EQ(field(drain_request(R"({"cancel": true})")), "cancel");
    EXPECT_EQ(field(drain_request("")), "body");
}

}  // namespace
}  // namespace txstream::console
