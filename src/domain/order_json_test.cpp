#include "domain/order_json.hpp"

#include "domain/order_request.hpp"
#include "domain/test_support.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace txstream::domain {
namespace {

using nlohmann::ordered_json;

constexpr const char* kId = "550e8400-e29b-41d4-a716-446655440000";

Order ordered(std::string_view example) {
    using namespace std::chrono_literals;
    const Timestamp time(std::chrono::sys_days(std::chrono::year(2024) / 1 / 15) + 10h + 30min);
    auto request = parse_create_order(test::example(example)).value();
    auto order = place_order(std::move(request), kId, time).value();
    for (std::int64_t id = 1; auto& item : order.items) item.id = id++;
    return order;
}

std::vector<std::string> names(const ordered_json& object) {
    std::vector<std::string> all;
    for (const auto& [name, value] : object.items()) all.push_back(name);
    return all;
}

TEST(OrderToJsonTest, TheDocumentedAnswerIsGivenFieldByFieldInItsOrder) {
    const auto documented = ordered_json::parse(test::example("created.json"));
    const auto ours = ordered_json::parse(order_to_json(ordered("create-simple.json")));
    EXPECT_EQ(ours, documented);
    EXPECT_EQ(ours.dump(), documented.dump()) << "the same types and order, too";
}

TEST(OrderToJsonTest, AmountsAreNumbersWithTwoDecimals) {
    const auto json = order_to_json(ordered("create-multi-item.json"));
    EXPECT_NE(json.find(R"("total_amount":146.49,)"), std::string::npos) << json;
    EXPECT_NE(json.find(R"("unit_price":15.50,"total_price":46.50})"), std::string::npos) << json;
    EXPECT_NE(order_to_json(ordered("create-simple.json")).find(":100.00,"), std::string::npos);
}

TEST(OrderToJsonTest, AComplementIsShownOnlyWhenThereIsOne) {
    EXPECT_NE(
        order_to_json(ordered("create-multi-item.json")).find(R"("complement":"Sala 10")"),
        std::string::npos
    );
    EXPECT_EQ(order_to_json(ordered("create-simple.json")).find("complement"), std::string::npos);
}

TEST(OrderToJsonTest, Utf8ComesBackAsItWentIn) {
    EXPECT_NE(
        order_to_json(ordered("create-simple.json")).find("S\xC3\xA3o Paulo"), std::string::npos
    );
}

// Aim: nothing of a request is lost or changed on its way to the answer, and totals add up. Method:
// seeded requests; the answer holds a request's members under the same names, so it is read as one.
TEST(OrderToJsonTest, TheAnswerReadAsARequestIsTheSameRequest) {
    const auto seed = test::seed();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const auto number = [&](int least, int most) {
        return std::uniform_int_distribution<int>(least, most)(random);
    };
    const auto text = [&] {
        std::string chosen = "t";  // one of blanks alone is no text
        for (int length = number(1, 20); length > 0; --length) {
            constexpr const char* kParts[] = {
                "a", "ã", "€", "😀", "\"", "\\", "\n", "\x1f", "/", " "
            };
            chosen += kParts[number(0, std::size(kParts) - 1)];
        }
        return chosen;
    };
    for (int i = 0; i < 500; ++i) {
        auto request = test::a_request();
        request.customer_id = text();
        request.order_number = text();
        request.shipping_address.complement = number(0, 1) == 0 ? "" : text();
        request.billing_address.street = text();
        request.items.clear();
        request.currency = number(0, 1) == 0 ? "BRL" : "USD";
        std::int64_t cents = 0;
        for (int items = number(1, 8); items > 0; --items) {
            const auto price = number(0, 1'000'000);
            const auto quantity = number(1, 500);
            cents += std::int64_t{price} * quantity;
            request.items.push_back({text(), text(), quantity, Money::from_cents(price)});
        }
        const auto order = place_order(request, kId, Timestamp()).value();
        ASSERT_EQ(order.total_amount.cents(), cents);
        const auto json = order_to_json(order);
        ASSERT_EQ(parse_create_order(json).value(), request) << json;
    }
}

TEST(OrderCreatedTest, TheEventHasTheOriginalsMembersAndTheWholeOrder) {
    const auto order = ordered("create-multi-item.json");
    const auto data = ordered_json::parse(order_created_event_data(order));
    const std::vector<std::string> expected = {
        "order_id",
        "customer_id",
        "order_number",
        "status",
        "total_amount",
        "currency",
        "items_count",
        "created_at",
        "items",
        "shipping_address",
        "billing_address"
    };
    EXPECT_EQ(names(data), expected);
    EXPECT_EQ(data["order_id"], kId);
    EXPECT_EQ(data["status"], "pending");
    EXPECT_EQ(data["total_amount"].dump(), "146.49");
    EXPECT_EQ(data["currency"], "BRL");
    EXPECT_EQ(data["items_count"], 2);
    EXPECT_EQ(data["created_at"], "2024-01-15T10:30:00Z");

    auto answer = ordered_json::parse(order_to_json(order));
    for (auto& item : answer["items"]) item.erase("id");
    EXPECT_EQ(data["items"], answer["items"]);
    EXPECT_EQ(data["shipping_address"], answer["shipping_address"]);
    EXPECT_EQ(data["billing_address"], answer["billing_address"]);
}

TEST(OrderCreatedTest, TheMetadataCarriesTheOrderAsCorrelation) {
    EXPECT_EQ(
        order_created_metadata(kId),
        R"({"source":"txstream-api","version":"1.0","correlation_id":"550e8400-e29b-41d4-a716-446655440000"})"
    );
}

}  // namespace
}  // namespace txstream::domain
