#include "domain/order_request.hpp"

#include "domain/json_value.hpp"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <string>
#include <utility>

namespace txstream::domain {
namespace {

tl::unexpected<Error> refuse(std::string_view path, std::string_view why) {
    return fail(Code::invalid_input, fmt::format("validation error: {}{}", path, why));
}

/// The members of one object, with the place that errors name ("item[0]: ").
class Reader {
public:
    Reader(const JsonValue& object, std::string path) : object_(object), path_(std::move(path)) {}

    Result<std::string> text(std::string_view name) const {
        const auto* value = present(name);
        if (!value) return std::string();
        if (!value->is(JsonKind::string)) {
            return refuse(path_, fmt::format("{} must be a string", name));
        }
        return value->string();
    }

    /// Digits only, as in Go: 2.0 and 1e2 are refused.
    Result<std::int32_t> integer(std::string_view name) const {
        const auto* value = present(name);
        if (!value) return 0;
        if (!value->is(JsonKind::number)) return must_be_an_integer(name);
        const auto& digits = value->number_text();
        std::int32_t number = 0;
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), number);
        // Also for a number out of range, `end` tells whether all of it was digits.
        if (end != digits.data() + digits.size()) return must_be_an_integer(name);
        if (error == std::errc()) return number;
        if (digits.front() == '-') return std::numeric_limits<std::int32_t>::min();
        return refuse(
            path_,
            fmt::format("{} is too large (max {})", name, std::numeric_limits<std::int32_t>::max())
        );
    }

    Result<Money> price(std::string_view name) const {
        const auto* value = present(name);
        if (!value) return Money();
        if (!value->is(JsonKind::number)) {
            return refuse(path_, fmt::format("{} must be a number", name));
        }
        auto amount = Money::parse(value->number_text(), name);
        if (amount) return *amount;
        // The contract's word for -0.001 too, which Money cannot hold.
        if (value->number_text().front() == '-') {
            return refuse(path_, fmt::format("{} cannot be negative", name));
        }
        return refuse(path_, amount.error().what());
    }

    /// Null when absent.
    Result<const JsonValue*> object(std::string_view name) const {
        return of_kind(name, JsonKind::object, "an object");
    }
    Result<const JsonValue*> array(std::string_view name) const {
        return of_kind(name, JsonKind::array, "an array");
    }

private:
    const JsonValue* present(std::string_view name) const {
        const auto* value = object_.find(name);
        return value && !value->is(JsonKind::null) ? value : nullptr;
    }

    Result<const JsonValue*> of_kind(
        std::string_view name, JsonKind kind, std::string_view in_words
    ) const {
        const auto* value = present(name);
        if (value && !value->is(kind)) {
            return refuse(path_, fmt::format("{} must be {}", name, in_words));
        }
        return value;
    }

    tl::unexpected<Error> must_be_an_integer(std::string_view name) const {
        return refuse(path_, fmt::format("{} must be an integer", name));
    }

    const JsonValue& object_;
    std::string path_;
};

Result<CreateOrder::Item> read_item(const JsonValue& value, std::size_t index) {
    if (value.is(JsonKind::null)) return CreateOrder::Item();
    if (!value.is(JsonKind::object)) {
        return refuse("", fmt::format("item[{}] must be an object", index));
    }
    const Reader members(value, fmt::format("item[{}]: ", index));
    CreateOrder::Item item;
    TXS_TRY(item.product_id, members.text("product_id"));
    TXS_TRY(item.product_name, members.text("product_name"));
    TXS_TRY(item.quantity, members.integer("quantity"));
    TXS_TRY(item.unit_price, members.price("unit_price"));
    return item;
}

Result<std::vector<CreateOrder::Item>> read_items(const Reader& body) {
    std::vector<CreateOrder::Item> items;
    TXS_TRY(const auto* array, body.array("items"));
    if (!array) return items;
    const auto& values = array->array();
    items.reserve(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        TXS_TRY(auto item, read_item(values[i], i));
        items.push_back(std::move(item));
    }
    return items;
}

Result<Address> read_address(const Reader& body, std::string_view name) {
    Address address;
    TXS_TRY(const auto* object, body.object(name));
    if (!object) return address;
    const Reader members(*object, fmt::format("{}: ", name));
    TXS_TRY(address.street, members.text("street"));
    TXS_TRY(address.number, members.text("number"));
    TXS_TRY(address.complement, members.text("complement"));
    TXS_TRY(address.city, members.text("city"));
    TXS_TRY(address.state, members.text("state"));
    TXS_TRY(address.zip_code, members.text("zip_code"));
    TXS_TRY(address.country, members.text("country"));
    return address;
}

Result<CreateOrder> read_create_order(const JsonValue& document) {
    CreateOrder request;
    if (document.is(JsonKind::null)) return request;
    if (!document.is(JsonKind::object)) {
        return fail(Code::invalid_input, "Invalid JSON payload", "not an object");
    }
    const Reader body(document, "");
    TXS_TRY(request.customer_id, body.text("customer_id"));
    TXS_TRY(request.order_number, body.text("order_number"));
    TXS_TRY(request.items, read_items(body));
    TXS_TRY(request.shipping_address, read_address(body, "shipping_address"));
    TXS_TRY(request.billing_address, read_address(body, "billing_address"));
    return request;
}

}  // namespace

Result<CreateOrder> parse_create_order(std::string_view body) {
    TXS_TRY(const auto document, parse_json(body));
    TXS_TRY(auto request, read_create_order(document));
    TXS_CHECK(validate(request));
    return request;
}

}  // namespace txstream::domain
