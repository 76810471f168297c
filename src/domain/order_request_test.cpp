#include "domain/order_request.hpp"

#include "domain/test_support.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>

namespace txstream::domain {
namespace {

using nlohmann::json;

CreateOrder accepted(std::string_view body) {
    auto request = parse_create_order(body);
    EXPECT_TRUE(request) << request.error().what();
    return request.value_or(CreateOrder());
}

std::string answer(std::string_view body) {
    const auto request = parse_create_order(body);
    if (request) return "accepted";
    EXPECT_EQ(request.error().code(), Code::invalid_input);
    return request.error().what();
}

/// The answer to create-simple.json with the value at `pointer` replaced ("/items/0/quantity") by
/// JSON text, which nlohmann must not see as a number.
std::string answer_with(std::string_view pointer, std::string_view text) {
    auto body = json::parse(test::example("create-simple.json"));
    body[json::json_pointer(std::string(pointer))] = "@replaced@";
    auto bytes = body.dump();
    constexpr std::string_view kMark = "\"@replaced@\"";
    bytes.replace(bytes.find(kMark), kMark.size(), text);
    return answer(bytes);
}

std::string answer_without(std::string_view pointer) {
    auto body = json::parse(test::example("create-simple.json"));
    const json::json_pointer place{std::string(pointer)};
    body[place.parent_pointer()].erase(place.back());
    return answer(body.dump());
}

std::string total_of(const std::string& example_name) {
    const auto request = accepted(test::example(example_name));
    return to_string(place_order(request, "id", Timestamp()).value().total_amount);
}

TEST(ParseCreateOrderTest, EveryDocumentedBodyIsAcceptedAndItsTotalIsExact) {
    EXPECT_EQ(total_of("create-simple.json"), "100.00");
    EXPECT_EQ(total_of("create-endpoint.json"), "150.00");
    EXPECT_EQ(total_of("create-multi-item.json"), "146.49");
}

TEST(ParseCreateOrderTest, EveryMemberArrivesUnchanged) {
    EXPECT_EQ(accepted(test::example("create-simple.json")), test::a_request());
    const auto request = accepted(test::example("create-multi-item.json"));
    ASSERT_EQ(request.items.size(), 2U);
    EXPECT_EQ(request.items[1].product_id, "prod-3");
    EXPECT_EQ(request.items[1].product_name, "Produto Demo 3");
    EXPECT_EQ(request.items[1].quantity, 3);
    EXPECT_EQ(request.items[1].unit_price, Money::from_cents(15'50));
    EXPECT_EQ(request.shipping_address.complement, "Sala 10");
    EXPECT_EQ(request.shipping_address.city, "Rio de Janeiro");
}

TEST(ParseCreateOrderTest, TheDocumentedRefusalIsGivenForAMissingCustomer) {
    const std::string documented =
        json::parse(test::example("error-validation.json")).at("error").get<std::string>();
    EXPECT_EQ(answer_without("/customer_id"), documented);
    EXPECT_EQ(answer_with("/customer_id", "\"\""), documented);
    EXPECT_EQ(answer_with("/customer_id", "null"), documented);
}

TEST(ParseCreateOrderTest, WhatIsNotJsonOrNotAnObjectIsAnInvalidPayload) {
    for (const char* body : {"", "{", "[]", "1", "\"x\"", "{} trailing", "{\"customer_id\": }"}) {
        EXPECT_EQ(answer(body), "Invalid JSON payload") << body;
    }
    EXPECT_EQ(parse_create_order("{x").error().origin(), "byte 2 (line 1, column 2): syntax error");
}

TEST(ParseCreateOrderTest, AbsentAndNullMembersAreEmptyAsInGo) {
    EXPECT_EQ(answer("null"), "validation error: customer_id is required");
    EXPECT_EQ(answer("{}"), "validation error: customer_id is required");
    EXPECT_EQ(answer_with("/items", "null"), "validation error: at least one item is required");
    EXPECT_EQ(answer_with("/items", "[]"), "validation error: at least one item is required");
    EXPECT_EQ(answer_with("/items", "[null]"), "validation error: item[0]: product_id is required");
    EXPECT_EQ(
        answer_without("/items/0/quantity"),
        "validation error: item[0]: quantity must be greater than 0"
    );
    EXPECT_EQ(
        answer_without("/shipping_address"),
        "validation error: shipping_address: street is required"
    );
    EXPECT_EQ(
        answer_with("/billing_address", "null"),
        "validation error: billing_address: street is required"
    );
}

TEST(ParseCreateOrderTest, APriceIsNeverGuessed) {
    constexpr auto kRequired = "validation error: item[0]: unit_price is required";
    EXPECT_EQ(answer_without("/items/0/unit_price"), kRequired);
    EXPECT_EQ(answer_with("/items/0/unit_price", "null"), kRequired);
    for (const char* misspelt : {"unitPrice", "Unit_Price", "price", "unit_pric", "unit_price "}) {
        EXPECT_EQ(
            answer_with(
                "/items/0",
                R"({"product_id":"p","product_name":"P","quantity":1,")" + std::string(misspelt) +
                    "\":9.99}"
            ),
            kRequired
        ) << misspelt;
    }
    EXPECT_EQ(answer_with("/items/0/unit_price", "0"), "accepted");
    EXPECT_EQ(answer_with("/items/0/unit_price", "-0.0"), "accepted");
}

TEST(ParseCreateOrderTest, AKnownNameThatAppearsTwiceIsRefused) {
    const auto item = [](std::string_view members) {
        return answer_with(
            "/items/0", R"({"product_id":"p","product_name":"P",)" + std::string(members) + "}"
        );
    };
    EXPECT_EQ(
        item(R"("quantity":1,"unit_price":10,"unit_price":99)"),
        "validation error: item[0]: unit_price appears more than once"
    );
    EXPECT_EQ(
        item(R"("quantity":1,"unit_price":10,"unit_price":null)"),
        "validation error: item[0]: unit_price appears more than once"
    );
    EXPECT_EQ(
        item(R"("quantity":1,"unit_price":10,"quantity":1)"),
        "validation error: item[0]: quantity appears more than once"
    );
    EXPECT_EQ(item(R"("quantity":1,"unit_price":10,"x":1,"x":2)"), "accepted");
    EXPECT_EQ(
        answer(R"({"currency":"USD","currency":"BRL"})"),
        "validation error: currency appears more than once"
    );
    EXPECT_EQ(
        answer(R"({"order_number":"1","order_number":"2"})"),
        "validation error: order_number appears more than once"
    );
}

TEST(ParseCreateOrderTest, ACurrencyIsKeptAndOnlyAnAbsentOneIsTheDefault) {
    EXPECT_EQ(accepted(test::example("create-simple.json")).currency, "BRL");
    for (const char* code : {"BRL", "USD", "EUR", "JPY", "KWD"}) {
        EXPECT_EQ(answer_with("/currency", '"' + std::string(code) + '"'), "accepted") << code;
    }
    auto body = json::parse(test::example("create-simple.json"));
    body["currency"] = "USD";
    EXPECT_EQ(place_order(accepted(body.dump()), "id", Timestamp()).value().currency, "USD");
    for (const char* wrong :
         {R"("")",
          R"("usd")",
          R"("US")",
          R"("USDX")",
          R"(" USD")",
          R"("XTS")",
          R"("ZZZ")",
          R"("$")",
          R"("\u0000SD")",
          R"("986")"}) {
        EXPECT_EQ(
            answer_with("/currency", wrong),
            "validation error: currency must be an ISO 4217 code in capital letters, such as BRL"
        ) << wrong;
    }
    for (const char* wrong : {"null", "986", "true", R"(["USD"])", R"({"code":"USD"})"}) {
        EXPECT_EQ(answer_with("/currency", wrong), "validation error: currency must be a string")
            << wrong;
    }
}

TEST(ParseCreateOrderTest, AMisspeltCurrencyIsNotIgnored) {
    for (const std::string name :
         {"curency", "Currency", "CURRENCY", "currncy", "currecny", "currency_code", "priceCurrency"
         }) {
        EXPECT_EQ(
            answer_with("/" + name, R"("USD")"),
            "validation error: unknown field '" + name + "'; the currency is in 'currency'"
        );
    }
    EXPECT_EQ(
        answer_with("/items/0/currency", R"("USD")"),
        "validation error: item[0]: unknown field 'currency'; an order has one currency, not an "
        "item"
    );
    EXPECT_LT(answer_with("/currency" + std::string(5000, 'x'), "1").size(), 200U);
}

TEST(ParseCreateOrderTest, APriceHasNoMoreDecimalsThanItsCurrency) {
    const auto priced = [](std::string_view currency, std::string_view price) {
        auto body = json::parse(test::example("create-simple.json"));
        body["currency"] = currency;
        body["items"][0]["unit_price"] = "@";
        auto bytes = body.dump();
        return answer(bytes.replace(bytes.find("\"@\""), 3, price));
    };
    for (const char* price : {"1000", "1000.00", "1e3"}) {
        EXPECT_EQ(priced("JPY", price), "accepted") << price;
    }
    for (const char* price : {"10.5", "0.01", "10.50"}) {
        EXPECT_EQ(
            priced("JPY", price),
            "validation error: item[0]: unit_price must have no decimals in JPY"
        ) << price;
    }
    EXPECT_EQ(priced("KWD", "1.25"), "accepted");
    EXPECT_EQ(priced("KWD", "1.250"), "accepted");
    EXPECT_EQ(
        priced("KWD", "1.255"),
        "validation error: item[0]: unit_price must have at most two decimals"
    );
}

TEST(ParseCreateOrderTest, UnknownMembersAreIgnored) {
    EXPECT_EQ(answer_with("/items/0/colour", R"({"deep":[1,2,{"x":1e300}]})"), "accepted");
    EXPECT_EQ(answer_with("/total_amount", "-1"), "accepted");
    EXPECT_EQ(answer_with("/CUSTOMER_ID", "7"), "accepted");
}

TEST(ParseCreateOrderTest, ANumberThatNoDoubleHoldsIsReportedByItsField) {
    EXPECT_EQ(
        answer_with("/items/0/unit_price", "1e400"),
        "validation error: item[0]: unit_price is out of range"
    );
    EXPECT_EQ(
        answer_with("/items/0/quantity", std::string(400, '9')),
        "validation error: item[0]: quantity is out of range"
    );
    EXPECT_EQ(
        answer_with("/shipping_address/number", "-1e400"),
        "validation error: shipping_address: number is out of range"
    );
    EXPECT_EQ(
        answer_with("/customer_id", "1e400"), "validation error: customer_id is out of range"
    );
    EXPECT_EQ(answer("1e400"), "Invalid JSON payload");
}

TEST(ParseCreateOrderTest, ABlankTextIsNoText) {
    EXPECT_EQ(answer_with("/customer_id", R"("  ")"), "validation error: customer_id is required");
    EXPECT_EQ(
        answer_with("/order_number", R"("\t\n")"), "validation error: order_number is required"
    );
    EXPECT_EQ(
        answer_with("/billing_address/city", R"(" ")"),
        "validation error: billing_address: city is required"
    );
    EXPECT_EQ(answer_with("/billing_address/complement", R"(" ")"), "accepted");
}

TEST(ParseCreateOrderTest, AWrongTypeIsNamedWithItsPlace) {
    EXPECT_EQ(answer_with("/customer_id", "7"), "validation error: customer_id must be a string");
    EXPECT_EQ(answer_with("/items", "{}"), "validation error: items must be an array");
    EXPECT_EQ(answer_with("/items/0", "\"x\""), "validation error: item[0] must be an object");
    EXPECT_EQ(
        answer_with("/items/0/product_id", "[]"),
        "validation error: item[0]: product_id must be a string"
    );
    EXPECT_EQ(
        answer_with("/items/0/unit_price", "\"10.00\""),
        "validation error: item[0]: unit_price must be a number"
    );
    EXPECT_EQ(
        answer_with("/shipping_address", "[]"),
        "validation error: shipping_address must be an object"
    );
    EXPECT_EQ(
        answer_with("/billing_address/city", "true"),
        "validation error: billing_address: city must be a string"
    );
    for (const char* quantity : {"1.5", "2.0", "1e2", "\"2\"", "true", "[]"}) {
        EXPECT_EQ(
            answer_with("/items/0/quantity", quantity),
            "validation error: item[0]: quantity must be an integer"
        ) << quantity;
    }
}

TEST(ParseCreateOrderTest, QuantitiesOutsideTheirRangeAreNamed) {
    EXPECT_EQ(answer_with("/items/0/quantity", "1000000"), "accepted");
    for (const char* quantity : {"0", "-1", "-2147483648", "-99999999999999999999999"}) {
        EXPECT_EQ(
            answer_with("/items/0/quantity", quantity),
            "validation error: item[0]: quantity must be greater than 0"
        ) << quantity;
    }
    for (const char* quantity : {"2147483648", "99999999999999999999999"}) {
        EXPECT_EQ(
            answer_with("/items/0/quantity", quantity),
            "validation error: item[0]: quantity is too large (max 2147483647)"
        ) << quantity;
    }
}

TEST(ParseCreateOrderTest, PricesAreExactOrRefused) {
    for (const char* price : {"100", "100.00", "99.9", "1e2", "1.500", "99999999.99"}) {
        EXPECT_EQ(answer_with("/items/0/unit_price", price), "accepted") << price;
    }
    EXPECT_EQ(
        answer_with("/items/0/unit_price", "15.505"),
        "validation error: item[0]: unit_price must have at most two decimals"
    );
    for (const char* price : {"-1", "-0.01", "-0.001", "-1e300"}) {
        EXPECT_EQ(
            answer_with("/items/0/unit_price", price),
            "validation error: item[0]: unit_price cannot be negative"
        ) << price;
    }
    for (const char* price : {"100000000", "1e10"}) {
        EXPECT_EQ(
            answer_with("/items/0/unit_price", price),
            "validation error: item[0]: unit_price is too large (max 99999999.99)"
        ) << price;
    }
    for (const char* price : {"123456789012345678901234567890", "1e300"}) {
        EXPECT_EQ(
            answer_with("/items/0/unit_price", price),
            "validation error: item[0]: unit_price is out of range"
        ) << price;
    }
}

TEST(ParseCreateOrderTest, Utf8PassesThroughByteByByte) {
    const auto request = accepted(test::example("create-simple.json"));
    EXPECT_EQ(request.shipping_address.city, "S\xC3\xA3o Paulo");
    EXPECT_EQ(answer_with("/shipping_address/city", "\"S\xE3o Paulo\""), "Invalid JSON payload")
        << "Latin-1 is not UTF-8";
}

TEST(ParseCreateOrderTest, AZeroCharacterIsRefusedAndNamed) {
    EXPECT_EQ(
        answer_with("/items/0/product_name", R"("a\u0000b")"),
        "validation error: item[0]: product_name must not contain U+0000"
    );
}

TEST(ParseCreateOrderTest, ADepthBombIsAnInvalidPayload) {
    EXPECT_EQ(answer_with("/x", std::string(100'000, '[')), "Invalid JSON payload");
}

}  // namespace
}  // namespace txstream::domain
