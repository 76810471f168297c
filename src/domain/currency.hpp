#pragma once

#include <optional>
#include <string_view>

namespace txstream::domain {

/// Of an order that names none, as the earlier system's are.
constexpr std::string_view kCurrencyDefault = "BRL";

/// The decimals of a currency's minor unit: 2 for BRL, 0 for JPY, 3 for KWD. Nothing unless `code`
/// is an active code of ISO 4217 for money, in capital letters.
std::optional<int> currency_decimals(std::string_view code) noexcept;

}  // namespace txstream::domain
