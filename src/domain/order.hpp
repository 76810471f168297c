#pragma once

#include "base/error.hpp"
#include "domain/currency.hpp"
#include "domain/money.hpp"
#include "domain/timestamp.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::domain {

// What the columns hold; texts are counted in characters (code points), as PostgreSQL does.
constexpr std::size_t kCustomerIdMax = 255;
constexpr std::size_t kOrderNumberMax = 50;
constexpr std::size_t kProductIdMax = 255;
constexpr std::size_t kProductNameMax = 255;
constexpr std::size_t kStreetMax = 255;
constexpr std::size_t kNumberMax = 20;
constexpr std::size_t kComplementMax = 100;
constexpr std::size_t kCityMax = 100;
constexpr std::size_t kStateMax = 50;
constexpr std::size_t kZipCodeMax = 20;
constexpr std::size_t kCountryMax = 50;
constexpr std::size_t kItemsMax = 1000;
constexpr Money kUnitPriceMax = kNumeric10Max;
constexpr Money kTotalMax = kNumeric12Max;  ///< of an item and of an order

struct Address {
    std::string street;
    std::string number;
    std::string complement;  ///< empty: none
    std::string city;
    std::string state;
    std::string zip_code;
    std::string country;

    bool operator==(const Address&) const = default;
};

/// The words of the API and of the database.
enum class OrderStatus : std::uint8_t { pending, confirmed, shipped, delivered, cancelled };

std::string_view to_string(OrderStatus status) noexcept;
/// Code::corrupt for any other word: only a stored row can hold one.
Result<OrderStatus> parse_order_status(std::string_view word);

struct OrderItem {
    std::int64_t id = 0;  ///< given by the database
    std::string product_id;
    std::string product_name;
    std::int32_t quantity = 0;
    Money unit_price;
    Money total_price;

    bool operator==(const OrderItem&) const = default;
};

struct Order {
    std::string id;  ///< UUID
    std::string customer_id;
    std::string order_number;
    OrderStatus status = OrderStatus::pending;
    Money total_amount;
    std::string currency = std::string(kCurrencyDefault);  ///< ISO 4217
    std::vector<OrderItem> items;
    Address shipping_address;
    Address billing_address;
    Timestamp created_at{};
    Timestamp updated_at{};

    bool operator==(const Order&) const = default;
};

/// What a client asks for. Only a request without fault becomes an order.
struct CreateOrder {
    struct Item {
        std::string product_id;
        std::string product_name;
        std::int32_t quantity = 0;
        std::optional<Money> unit_price;  ///< nothing is a fault: no price is ever guessed

        bool operator==(const Item&) const = default;
    };

    std::string customer_id;
    std::string order_number;
    std::string currency = std::string(kCurrencyDefault);
    std::vector<Item> items;
    Address shipping_address;
    Address billing_address;

    bool operator==(const CreateOrder&) const = default;
};

/// Ok when an order can be made of it; else the first fault, in the order and with the words of
/// the API's contract ("validation error: item[0]: product_id is required"). The rules that the
/// original has come first, then the currency and the limits of the columns.
Result<> validate(const CreateOrder& request);

/// A new, pending order with its totals. Items get no id; the database numbers them.
/// Fails as validate() does.
Result<Order> place_order(CreateOrder request, std::string id, Timestamp now);

}  // namespace txstream::domain
