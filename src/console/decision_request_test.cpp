#include "console/decision_request.hpp"

#include "outbox/jobs.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace txstream::console {
namespace {

using outbox::Decision;
using Json = nlohmann::json;

/// The member that the answer complains about.
std::string field_of(const tl::expected<DecisionRequest, http::Response>& request) {
    if (request) return "nothing";
    EXPECT_EQ(request.error().status, 400);
    return Json::parse(request.error().body).value("field", "none");
}
std::string field_of_plan(const std::string& body) {
    return field_of(plan_request(body, "orders"));
}
std::string field_of_discard(const std::string& body) {
    return field_of(decision_request(Decision::discard, body, "orders"));
}

TEST(DecisionRequestTest, APlanSaysWhatAndAboutWhich) {
    const auto plan = plan_request(
        R"({"action":"discard","selection":{"key":"k\"1","error_class":"X","topic":"orders"}})",
        "orders"
    );
    ASSERT_TRUE(plan);
    EXPECT_EQ(plan->decision, Decision::discard);
    EXPECT_EQ(plan->selection.key, "k\"1");
    EXPECT_EQ(plan->selection.error_class, "X");
    EXPECT_EQ(plan->selection.topic, "") << "letters of the default topic name none";
    EXPECT_FALSE(plan->selection.event_type);
    EXPECT_TRUE(
        plan_request(R"({"action":"replay","selection":{"all":true}})", "")->selection.is_all
    );
}

TEST(DecisionRequestTest, WhatIsNotKnownIsRefusedAndNotLeftOut) {
    // A misspelt condition that is left out would select more.
    EXPECT_EQ(
        field_of_plan(R"({"action":"replay","selection":{"key":"a","eror_class":"X"}})"),
        "selection.eror_class"
    );
    EXPECT_EQ(field_of_plan(R"({"action":"replay","selection":{"key":"a"},"max":1})"), "max");
    EXPECT_EQ(field_of_plan(R"({"action":"replay","selection":{"key":7}})"), "selection.key");
    EXPECT_EQ(
        field_of_plan(R"({"action":"replay","selection":{"key":"a\u0000"}})"), "selection.key"
    );
    EXPECT_EQ(field_of_plan(R"({"action":"replay","selection":{"all":1}})"), "selection.all");
    EXPECT_EQ(field_of_plan(R"({"action":"replay","selection":{}})"), "selection");
    EXPECT_EQ(
        field_of_plan(R"({"action":"replay","selection":{"all":true,"key":"a"}})"), "selection"
    );
    EXPECT_EQ(field_of_plan(R"({"action":"replay","selection":{"id":"seven"}})"), "selection");
    EXPECT_EQ(field_of_plan(R"({"action":"replay"})"), "selection");
    EXPECT_EQ(field_of_plan(R"({"action":"drop","selection":{"all":true}})"), "action");
    EXPECT_EQ(field_of_plan(R"([])"), "body");
    EXPECT_EQ(field_of_plan(R"({"action")"), "body");
    EXPECT_EQ(field_of_plan("\xff"), "body");
}

TEST(DecisionRequestTest, ADecisionNamesWhatThePlanHasShownAndADiscardItsReason) {
    const std::string known = R"("selection":{"id":"7.1"})";
    EXPECT_EQ(field_of_discard("{" + known + R"(,"events":"1","reason":"test data"})"), "nothing");
    EXPECT_EQ(field_of_discard("{" + known + R"(,"events":"1"})"), "reason");
    EXPECT_EQ(field_of_discard("{" + known + R"(,"events":"1","reason":" \n"})"), "reason");
    EXPECT_EQ(
        field_of_discard(
            "{" + known + R"(,"events":"1","reason":")" + std::string(2001, 'r') + "\"}"
        ),
        "reason"
    );
    for (const auto* events : {"1", "\"\"", "\"-1\"", "\"0\"", "\"1x\"", "null"})
        EXPECT_EQ(
            field_of_discard("{" + known + R"(,"reason":"r","events":)" + events + "}"), "events"
        ) << events;
    const auto replay = decision_request(Decision::replay, "{" + known + R"(,"events":"12"})", "");
    ASSERT_TRUE(replay);
    EXPECT_EQ(replay->events, 12U);
    EXPECT_EQ(replay->reason, "");
    EXPECT_EQ(replay->rate, std::nullopt);
}

TEST(DecisionRequestTest, ARateIsAWholeNumberWithinItsLimits) {
    const auto of = [](const std::string& rate) {
        return decision_request(
            Decision::replay, R"({"selection":{"all":true},"events":"1","rate":)" + rate + "}", ""
        );
    };
    EXPECT_EQ(of("200")->rate, 200);
    EXPECT_EQ(of(std::to_string(outbox::kJobRateMax))->rate, outbox::kJobRateMax);
    EXPECT_EQ(of("null")->rate, std::nullopt);
    for (const auto* rate : {"0", "-1", "1.5", "\"200\"", "100001", "18446744073709551615", "1e3"})
        EXPECT_EQ(field_of(of(rate)), "rate") << rate;
}

TEST(DecisionRequestTest, ACancellationSaysWhy) {
    EXPECT_EQ(cancel_request(R"({"reason":"the wrong topic"})").value_or(""), "the wrong topic");
    for (const auto* body : {"{}", R"({"reason":" "})", R"({"reason":7})"}) {
        const auto refused = cancel_request(body);
        ASSERT_FALSE(refused) << body;
        EXPECT_EQ(Json::parse(refused.error().body).value("field", ""), "reason") << body;
    }
    EXPECT_FALSE(cancel_request(R"({"reason":"r","id":"1"})"));
    EXPECT_FALSE(cancel_request("\xff"));
}

}  // namespace
}  // namespace txstream::console
