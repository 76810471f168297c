#include "domain/order.hpp"

#include "domain/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace txstream::domain {
namespace {

tl::unexpected<Error> refuse(std::string_view path, std::string_view why) {
    return fail(Code::invalid_input, fmt::format("validation error: {}{}", path, why));
}

std::string item_path(std::size_t index) {
    return fmt::format("item[{}]: ", index);
}

/// A text of an address, where it stands in the contract's order, and what it may hold.
struct AddressField {
    std::string_view name;
    std::string Address::* member;
    std::size_t characters_max;
    bool required;
};

constexpr std::array kAddressFields = {
    AddressField{"street", &Address::street, kStreetMax, true},
    AddressField{"number", &Address::number, kNumberMax, true},
    AddressField{"complement", &Address::complement, kComplementMax, false},
    AddressField{"city", &Address::city, kCityMax, true},
    AddressField{"state", &Address::state, kStateMax, true},
    AddressField{"zip_code", &Address::zip_code, kZipCodeMax, true},
    AddressField{"country", &Address::country, kCountryMax, true},
};

Result<> require(std::string_view path, std::string_view field, const std::string& text) {
    if (!is_blank(text)) return {};
    return refuse(path, fmt::format("{} is required", field));
}

Result<> require_address(std::string_view path, const Address& address) {
    for (const auto& field : kAddressFields) {
        if (field.required) TXS_CHECK(require(path, field.name, address.*field.member));
    }
    return {};
}

/// The earlier system's rules, in its order.
Result<> check_contract(const CreateOrder& request) {
    TXS_CHECK(require("", "customer_id", request.customer_id));
    TXS_CHECK(require("", "order_number", request.order_number));
    if (request.items.empty()) return refuse("", "at least one item is required");
    for (std::size_t i = 0; i < request.items.size(); ++i) {
        const auto& item = request.items[i];
        const auto path = item_path(i);
        TXS_CHECK(require(path, "product_id", item.product_id));
        TXS_CHECK(require(path, "product_name", item.product_name));
        if (item.quantity <= 0) return refuse(path, "quantity must be greater than 0");
        if (!item.unit_price) return refuse(path, "unit_price is required");
        if (item.unit_price->is_negative()) return refuse(path, "unit_price cannot be negative");
    }
    TXS_CHECK(require_address("shipping_address: ", request.shipping_address));
    return require_address("billing_address: ", request.billing_address);
}

Result<> check_text(
    std::string_view path, std::string_view field, const std::string& text, std::size_t max
) {
    if (count_characters(text) > max) {
        return refuse(path, fmt::format("{} is too long (max {} characters)", field, max));
    }
    // Legal in JSON, but PostgreSQL's text cannot hold it.
    if (text.find('\0') != std::string::npos) {
        return refuse(path, fmt::format("{} must not contain U+0000", field));
    }
    return {};
}

Result<> check_address(std::string_view path, const Address& address) {
    for (const auto& field : kAddressFields) {
        TXS_CHECK(check_text(path, field.name, address.*field.member, field.characters_max));
    }
    return {};
}

// Amounts have two decimals. A currency with more is taken as well: a price that needs the third
// decimal is refused when it is read, and none is rounded.
Result<> check_currency(const CreateOrder& request) {
    const auto decimals = currency_decimals(request.currency);
    if (!decimals) {
        return refuse("", "currency must be an ISO 4217 code in capital letters, such as BRL");
    }
    if (*decimals > 0) return {};
    for (std::size_t i = 0; i < request.items.size(); ++i) {
        if (request.items[i].unit_price->cents() % 100 == 0) continue;
        return refuse(
            item_path(i), fmt::format("unit_price must have no decimals in {}", request.currency)
        );
    }
    return {};
}

Result<> check_columns(const CreateOrder& request) {
    TXS_CHECK(check_text("", "customer_id", request.customer_id, kCustomerIdMax));
    TXS_CHECK(check_text("", "order_number", request.order_number, kOrderNumberMax));
    for (std::size_t i = 0; i < request.items.size(); ++i) {
        const auto& item = request.items[i];
        const auto path = item_path(i);
        TXS_CHECK(check_text(path, "product_id", item.product_id, kProductIdMax));
        TXS_CHECK(check_text(path, "product_name", item.product_name, kProductNameMax));
        if (*item.unit_price > kUnitPriceMax) {
            return refuse(
                path, fmt::format("unit_price is too large (max {})", to_string(kUnitPriceMax))
            );
        }
    }
    TXS_CHECK(check_address("shipping_address: ", request.shipping_address));
    return check_address("billing_address: ", request.billing_address);
}

Result<Money> item_total(std::size_t index, const CreateOrder::Item& item) {
    const auto total = checked_multiply(*item.unit_price, item.quantity);
    if (total && *total <= kTotalMax) return *total;
    return refuse(
        item_path(index), fmt::format("total_price is too large (max {})", to_string(kTotalMax))
    );
}

Result<Money> order_total(const CreateOrder& request) {
    Money total;
    for (std::size_t i = 0; i < request.items.size(); ++i) {
        TXS_TRY(const Money of_item, item_total(i, request.items[i]));
        const auto sum = checked_add(total, of_item);
        if (!sum || *sum > kTotalMax) {
            return refuse(
                "", fmt::format("total_amount is too large (max {})", to_string(kTotalMax))
            );
        }
        total = *sum;
    }
    return total;
}

}  // namespace

Result<> validate(const CreateOrder& request) {
    // Before the items are looked at one by one.
    if (request.items.size() > kItemsMax) {
        return refuse("", fmt::format("too many items (max {})", kItemsMax));
    }
    TXS_CHECK(check_contract(request));
    TXS_CHECK(check_currency(request));
    TXS_CHECK(check_columns(request));
    TXS_CHECK(order_total(request));
    return {};
}

Result<Order> place_order(CreateOrder request, std::string id, Timestamp now) {
    TXS_CHECK(validate(request));
    TXS_TRY(const Money total, order_total(request));
    Order order;
    order.id = std::move(id);
    order.items.reserve(request.items.size());
    for (std::size_t i = 0; i < request.items.size(); ++i) {
        auto& asked = request.items[i];
        TXS_TRY(const Money of_item, item_total(i, asked));
        auto& item = order.items.emplace_back();
        item.product_id = std::move(asked.product_id);
        item.product_name = std::move(asked.product_name);
        item.quantity = asked.quantity;
        item.unit_price = *asked.unit_price;
        item.total_price = of_item;
    }
    order.customer_id = std::move(request.customer_id);
    order.order_number = std::move(request.order_number);
    order.total_amount = total;
    order.currency = std::move(request.currency);
    order.shipping_address = std::move(request.shipping_address);
    order.billing_address = std::move(request.billing_address);
    order.created_at = now;
    order.updated_at = now;
    return order;
}

std::string_view to_string(OrderStatus status) noexcept {
    switch (status) {
        case OrderStatus::pending:
            return "pending";
        case OrderStatus::confirmed:
            return "confirmed";
        case OrderStatus::shipped:
            return "shipped";
        case OrderStatus::delivered:
            return "delivered";
        case OrderStatus::cancelled:
            return "cancelled";
    }
    return "unknown";
}

Result<OrderStatus> parse_order_status(std::string_view word) {
    for (auto status :
         {OrderStatus::pending,
          OrderStatus::confirmed,
          OrderStatus::shipped,
          OrderStatus::delivered,
          OrderStatus::cancelled}) {
        if (to_string(status) == word) return status;
    }
    return fail(Code::corrupt, fmt::format("unknown order status '{}'", word));
}

}  // namespace txstream::domain
