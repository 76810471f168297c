#include "domain/order.hpp"

#include "domain/test_support.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace txstream::domain {
namespace {

using test::a_request;

std::string fault(const CreateOrder& request) {
    const auto valid = validate(request);
    if (valid) return "none";
    EXPECT_EQ(valid.error().code(), Code::invalid_input);
    return valid.error().what();
}

std::string fault_after(const std::function<void(CreateOrder&)>& change) {
    auto request = a_request();
    change(request);
    return fault(request);
}

std::string repeated(std::string_view character, std::size_t times) {
    std::string text;
    for (std::size_t i = 0; i < times; ++i) text += character;
    return text;
}

TEST(ValidateTest, ARequestWithoutFaultPasses) {
    EXPECT_EQ(fault(a_request()), "none");
}

// Aim: the earlier system's rules come in its order and with its words. Method: an empty request is
// mended one fault at a time, and each time the next message must appear.
TEST(ValidateTest, FaultsAreReportedInTheContractsOrder) {
    CreateOrder request;
    const auto expect_and_mend = [&](std::string_view message, auto mend) {
        EXPECT_EQ(fault(request), "validation error: " + std::string(message));
        mend();
    };
    expect_and_mend("customer_id is required", [&] { request.customer_id = "c"; });
    expect_and_mend("order_number is required", [&] { request.order_number = "n"; });
    expect_and_mend("at least one item is required", [&] {
        request.items = {{"p", "P", 1, Money()}, {"", "", -3, std::nullopt}};
    });
    auto& item = request.items.back();
    expect_and_mend("item[1]: product_id is required", [&] { item.product_id = "p"; });
    expect_and_mend("item[1]: product_name is required", [&] { item.product_name = "P"; });
    expect_and_mend("item[1]: quantity must be greater than 0", [&] { item.quantity = 0; });
    expect_and_mend("item[1]: quantity must be greater than 0", [&] { item.quantity = 1; });
    expect_and_mend("item[1]: unit_price is required", [&] {
        item.unit_price = Money::from_cents(-1);
    });
    expect_and_mend("item[1]: unit_price cannot be negative", [&] { item.unit_price = Money(); });
    for (auto [name, address] :
         {std::pair{"shipping_address", &request.shipping_address},
          std::pair{"billing_address", &request.billing_address}}) {
        const auto expect_field = [&](std::string_view field, std::string& text) {
            expect_and_mend(
                std::string(name).append(": ").append(field).append(" is required"),
                [&] { text = "x"; }
            );
        };
        expect_field("street", address->street);
        expect_field("number", address->number);
        expect_field("city", address->city);
        expect_field("state", address->state);
        expect_field("zip_code", address->zip_code);
        expect_field("country", address->country);
    }
    EXPECT_EQ(fault(request), "none");
}

struct TextField {
    std::string name;
    std::size_t characters_max;
    std::function<std::string&(CreateOrder&)> text;
};

std::vector<TextField> text_fields() {
    std::vector<TextField> fields = {
        {"customer_id", 255, [](CreateOrder& r) -> std::string& { return r.customer_id; }},
        {"order_number", 50, [](CreateOrder& r) -> std::string& { return r.order_number; }},
        {"item[0]: product_id",
         255,
         [](CreateOrder& r) -> std::string& { return r.items[0].product_id; }},
        {"item[0]: product_name",
         255,
         [](CreateOrder& r) -> std::string& { return r.items[0].product_name; }},
    };
    const auto add = [&](std::string name, std::size_t max, std::string Address::* member) {
        fields.push_back(
            {"shipping_address: " + name,
             max,
             [member](CreateOrder& r) -> std::string& { return r.shipping_address.*member; }}
        );
        fields.push_back(
            {"billing_address: " + name,
             max,
             [member](CreateOrder& r) -> std::string& { return r.billing_address.*member; }}
        );
    };
    add("street", 255, &Address::street);
    add("number", 20, &Address::number);
    add("complement", 100, &Address::complement);
    add("city", 100, &Address::city);
    add("state", 50, &Address::state);
    add("zip_code", 20, &Address::zip_code);
    add("country", 50, &Address::country);
    return fields;
}

TEST(ValidateTest, EveryTextMayHaveAsManyCharactersAsItsColumn) {
    for (const auto& field : text_fields()) {
        for (const char* character : {"a", "ã", "€", "😀"}) {
            auto request = a_request();
            field.text(request) = repeated(character, field.characters_max);
            EXPECT_EQ(fault(request), "none") << field.name;
            field.text(request) += character;
            EXPECT_EQ(
                fault(request),
                "validation error: " + field.name + " is too long (max " +
                    std::to_string(field.characters_max) + " characters)"
            );
        }
    }
}

TEST(ValidateTest, AZeroCharacterIsRefusedInEveryText) {
    for (const auto& field : text_fields()) {
        auto request = a_request();
        field.text(request) = std::string("a\0b", 3);
        EXPECT_EQ(fault(request), "validation error: " + field.name + " must not contain U+0000");
    }
}

TEST(ValidateTest, AContractFaultIsNamedBeforeAColumnsLimit) {
    EXPECT_EQ(
        fault_after([](CreateOrder& r) {
            r.customer_id = std::string(300, 'x');
            r.billing_address.country.clear();
        }),
        "validation error: billing_address: country is required"
    );
}

TEST(ValidateTest, TheNumberOfItemsIsLimited) {
    auto request = a_request();
    request.items.resize(kItemsMax, request.items.front());
    EXPECT_EQ(fault(request), "none");
    request.items.push_back(request.items.front());
    EXPECT_EQ(fault(request), "validation error: too many items (max 1000)");
}

TEST(ValidateTest, AmountsThatTheirColumnsCannotHoldAreNamed) {
    const auto priced = [](Money price, std::int32_t quantity, std::size_t items) {
        auto request = a_request();
        request.items.front().unit_price = price;
        request.items.front().quantity = quantity;
        request.items.resize(items, request.items.front());
        return fault(request);
    };
    const auto above = Money::from_cents(kUnitPriceMax.cents() + 1);
    EXPECT_EQ(priced(kUnitPriceMax, 100, 1), "none");
    EXPECT_EQ(priced(Money::from_cents(kTotalMax.cents() / 117), 117, 1), "none")
        << "exactly the largest total";
    EXPECT_EQ(
        priced(above, 1, 1), "validation error: item[0]: unit_price is too large (max 99999999.99)"
    );
    EXPECT_EQ(
        priced(kUnitPriceMax, 101, 1),
        "validation error: item[0]: total_price is too large (max 9999999999.99)"
    );
    EXPECT_EQ(
        priced(kUnitPriceMax, 2147483647, 1),
        "validation error: item[0]: total_price is too large (max 9999999999.99)"
    );
    EXPECT_EQ(
        priced(kUnitPriceMax, 60, 2),
        "validation error: total_amount is too large (max 9999999999.99)"
    );
    EXPECT_EQ(priced(Money(), 2147483647, 1000), "none");
}

TEST(PlaceOrderTest, TotalsAreExactAndTheOrderIsPending) {
    auto request = a_request();
    request.items = {
        {"p-1", "One", 3, Money::from_cents(10)},
        {"p-2", "Two", 1, Money::from_cents(99'99)},
    };
    const Timestamp now(std::chrono::microseconds(1'700'000'000'000'000));
    const auto order = place_order(request, "550e8400-e29b-41d4-a716-446655440000", now).value();
    EXPECT_EQ(order.items[0].total_price, Money::from_cents(30));
    EXPECT_EQ(order.items[1].total_price, Money::from_cents(99'99));
    EXPECT_EQ(order.total_amount, Money::from_cents(100'29));
    EXPECT_EQ(order.status, OrderStatus::pending);
    EXPECT_EQ(order.currency, "BRL");
    EXPECT_EQ(order.created_at, now);
    EXPECT_EQ(order.updated_at, now);
    EXPECT_EQ(order.customer_id, request.customer_id);
    EXPECT_EQ(order.shipping_address, request.shipping_address);
    EXPECT_EQ(order.billing_address, request.billing_address);
}

TEST(PlaceOrderTest, ARequestWithAFaultMakesNoOrder) {
    EXPECT_EQ(
        place_order({}, "id", Timestamp()).error().what(),
        "validation error: customer_id is required"
    );
}

TEST(OrderStatusTest, EveryWordIsReadBackAndNoOther) {
    for (const char* word : {"pending", "confirmed", "shipped", "delivered", "cancelled"}) {
        EXPECT_EQ(to_string(parse_order_status(word).value()), word);
    }
    EXPECT_EQ(parse_order_status("Pending").error().code(), Code::corrupt);
}

}  // namespace
}  // namespace txstream::domain
