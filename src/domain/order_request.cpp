#include "domain/order_request.hpp"

#include "domain/json_value.hpp"
#include "domain/text.hpp"

#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <optional>
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
        TXS_TRY(const auto* value, present(name));
        if (!value) return std::string();
        if (!value->is(JsonKind::string)) {
            return refuse(path_, fmt::format("{} must be a string", name));
        }
        return value->string();
    }

    /// Digits only, as in Go: 2.0 and 1e2 are refused.
    Result<std::int32_t> integer(std::string_view name) const {
        TXS_TRY(const auto* value, present(name));
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

    /// Nothing when absent or null, for validate() to refuse in its turn.
    Result<std::optional<Money>> price(std::string_view name) const {
        TXS_TRY(const auto* value, present(name));
        if (!value) return std::nullopt;
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

    /// Null when absent. A name that appears twice is refused: of two prices, another parser (a
    /// proxy, say) may pick the other one.
    Result<const JsonValue*> member(std::string_view name) const {
        const JsonValue* found = nullptr;
        for (const auto& [key, value] : object_.object()) {
            if (key != name) continue;
            if (found) return refuse(path_, fmt::format("{} appears more than once", name));
            found = &value;
        }
        return found;
    }

private:
    /// Null when absent or JSON's null, which are the same to Go's decoder.
    Result<const JsonValue*> present(std::string_view name) const {
        TXS_TRY(const auto* value, member(name));
        return value && !value->is(JsonKind::null) ? value : nullptr;
    }

    Result<const JsonValue*> of_kind(
        std::string_view name, JsonKind kind, std::string_view in_words
    ) const {
        TXS_TRY(const auto* value, present(name));
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

// Unknown members are ignored, as the earlier system does. Not so one that is meant to say the
// currency ("curency", "Currency", "currency_code"): ignored, it would make reais of dollars.
bool means_currency(std::string_view name) {
    std::string letters;
    for (const char c : name.substr(0, 64)) {
        if (c >= 'A' && c <= 'Z') letters += static_cast<char>(c + 32);
        if (c >= 'a' && c <= 'z') letters += c;
    }
    return letters.find("currenc") != std::string::npos ||
           (letters.starts_with("cur") && letters.ends_with('y') && letters.size() <= 10);
}

Result<std::string> read_currency(const JsonValue& document, const Reader& body) {
    TXS_TRY(const auto* value, body.member("currency"));
    for (const auto& [name, other] : document.object()) {
        if (name == "currency" || !means_currency(name)) continue;
        return refuse(
            "", fmt::format("unknown field '{}'; the currency is in 'currency'", excerpt(name))
        );
    }
    if (!value) return std::string(kCurrencyDefault);
    if (!value->is(JsonKind::string)) return refuse("", "currency must be a string");
    return value->string();
}

Result<> check_no_currency(const JsonValue& item, std::string_view path) {
    for (const auto& [name, value] : item.object()) {
        if (!means_currency(name)) continue;
        return refuse(
            path,
            fmt::format("unknown field '{}'; an order has one currency, not an item", excerpt(name))
        );
    }
    return {};
}

Result<CreateOrder::Item> read_item(const JsonValue& value, std::size_t index) {
    if (value.is(JsonKind::null)) return CreateOrder::Item();
    if (!value.is(JsonKind::object)) {
        return refuse("", fmt::format("item[{}] must be an object", index));
    }
    const auto path = fmt::format("item[{}]: ", index);
    const Reader members(value, path);
    CreateOrder::Item item;
    TXS_TRY(item.product_id, members.text("product_id"));
    TXS_TRY(item.product_name, members.text("product_name"));
    TXS_TRY(item.quantity, members.integer("quantity"));
    TXS_TRY(item.unit_price, members.price("unit_price"));
    TXS_CHECK(check_no_currency(value, path));
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
        return fail(
            Code::invalid_input, "Invalid JSON payload", "byte 1 (line 1, column 1): not an object"
        );
    }
    const Reader body(document, "");
    TXS_TRY(request.customer_id, body.text("customer_id"));
    TXS_TRY(request.order_number, body.text("order_number"));
    TXS_TRY(request.currency, read_currency(document, body));
    TXS_TRY(request.items, read_items(body));
    TXS_TRY(request.shipping_address, read_address(body, "shipping_address"));
    TXS_TRY(request.billing_address, read_address(body, "billing_address"));
    return request;
}

// "items[0].unit_price is out of range" in the contract's words: "item[0]: unit_price is …".
std::string in_contract_words(std::string text) {
    if (text.starts_with("items[")) text.erase(4, 1);
    if (const auto dot = text.find('.'); dot != std::string::npos) text.replace(dot, 1, ": ");
    return text;
}

}  // namespace

Result<CreateOrder> parse_create_order(std::string_view body) {
    const auto document = parse_json(body);
    if (!document && document.error().origin() == kNumberOutOfRange) {
        return refuse("", in_contract_words(document.error().what()));
    }
    if (!document) return tl::unexpected(document.error());
    TXS_TRY(auto request, read_create_order(*document));
    TXS_CHECK(validate(request));
    return request;
}

}  // namespace txstream::domain
