#pragma once

#include "base/error.hpp"
#include "domain/order.hpp"

#include <string_view>

namespace txstream::domain {

/// Reads and validates the body of POST /api/v1/orders. What it returns, place_order() accepts.
///
/// All errors are invalid_input, and what() is the public answer: "Invalid JSON payload" for a text
/// that is not JSON or not an object (origin() says where and why, and may be shown);
/// "validation error: item[0]: quantity must be an integer" for a wrong type; then what validate()
/// says.
///
/// As Go's decoder does: unknown members are ignored, absent and null ones are empty or zero.
/// Unlike it: money is never guessed. A price that is absent or null, a currency that is null, a
/// member that looks like a misspelt currency, and a known member that appears twice are refused.
/// Names must match exactly, and text behind the document is refused.
Result<CreateOrder> parse_create_order(std::string_view body);

}  // namespace txstream::domain
