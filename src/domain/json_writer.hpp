#pragma once

#include "domain/money.hpp"
#include "domain/timestamp.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace txstream::domain {

/// Appends compact JSON to a string and puts the commas.
///
///     JsonWriter(out).begin_object().key("id").string(id).key("total").money(total).end_object();
///
/// The writer trusts its user to close what is open and to give every member a key.
class JsonWriter {
public:
    explicit JsonWriter(std::string& out) : out_(out) {}

    JsonWriter& begin_object();
    JsonWriter& end_object();
    JsonWriter& begin_array();
    JsonWriter& end_array();
    JsonWriter& key(std::string_view name);

    JsonWriter& string(std::string_view text);
    JsonWriter& integer(std::int64_t value);
    JsonWriter& boolean(bool value);
    JsonWriter& null();
    JsonWriter& money(Money amount);         ///< a number with two decimals
    JsonWriter& timestamp(Timestamp time);   ///< RFC 3339; null when it cannot express it
    JsonWriter& raw(std::string_view json);  ///< a value that is JSON already

private:
    void comma_before_value();

    std::string& out_;
    bool needs_comma_ = false;
};

}  // namespace txstream::domain
