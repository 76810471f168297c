#pragma once

#include "base/error.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace txstream::domain {

/// Deeper documents are refused. An order needs three levels; recursion over a tree is bounded too.
constexpr std::size_t kJsonDepthMax = 32;
/// A document with more values is refused: a value takes up to a hundred bytes of memory and can be
/// written in two. The largest order (kItemsMax) has some five thousand.
constexpr std::size_t kJsonValuesMax = 100'000;

enum class JsonKind : unsigned char { null, boolean, number, string, array, object };

/// A parsed JSON document, immutable. Numbers stay as the text that was received, so that no amount
/// is rounded by reading it.
class JsonValue {
public:
    using Array = std::vector<JsonValue>;
    using Member = std::pair<std::string, JsonValue>;
    using Object = std::vector<Member>;  ///< as received, duplicates too
    struct Number {
        std::string text;
    };

    JsonValue() = default;
    explicit JsonValue(bool value) : value_(value) {}
    explicit JsonValue(Number value) : value_(std::move(value)) {}
    explicit JsonValue(std::string value) : value_(std::move(value)) {}
    explicit JsonValue(Array value) : value_(std::move(value)) {}
    explicit JsonValue(Object value) : value_(std::move(value)) {}

    JsonKind kind() const noexcept { return static_cast<JsonKind>(value_.index()); }
    bool is(JsonKind kind_asked) const noexcept { return kind() == kind_asked; }

    // Each needs a value of its kind.
    bool boolean() const;
    const std::string& number_text() const;
    const std::string& string() const;
    const Array& array() const;
    const Object& object() const;

    /// The member of an object by its exact name, the last one if it is there twice (as Go's
    /// decoder does); null when absent.
    const JsonValue* find(std::string_view name) const;

private:
    // In the order of JsonKind.
    std::variant<std::monostate, bool, Number, std::string, Array, Object> value_;
};

/// origin() of the error for a number that no double can hold, such as 1e400.
constexpr std::string_view kNumberOutOfRange = "number out of range";

/// Reads one whole document: RFC 8259, strict UTF-8 (a byte order mark in front is skipped),
/// nothing behind it but white space. The error's what() is "Invalid JSON payload", the contract's
/// answer; its origin() says where and why, and never repeats the input: "byte 17 (line 2,
/// column 4): syntax error". The column counts characters. A number out of range in an object or an
/// array is reported by its place instead, with the origin kNumberOutOfRange:
/// "items[0].unit_price is out of range".
Result<JsonValue> parse_json(std::string_view text);

}  // namespace txstream::domain
