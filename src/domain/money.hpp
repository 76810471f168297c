#pragma once

#include "base/error.hpp"

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace txstream::domain {

/// An exact decimal amount with two decimals, kept as a whole number of hundredths.
///
/// It is read from the text of a number and written as text, and never passes through binary
/// floating point: 0.1 × 3 is 0.30. The currency is not part of it; an order has one.
class Money {
public:
    constexpr Money() noexcept = default;
    static constexpr Money from_cents(std::int64_t cents) noexcept { return Money(cents); }

    /// Reads a JSON number or what PostgreSQL prints for a numeric: "100", "99.9", "1.500", "1e2".
    /// Refuses what two decimals cannot hold exactly and what does not fit in 64 bits. The error
    /// starts with `field`: "unit_price must have at most two decimals".
    static Result<Money> parse(std::string_view number, std::string_view field);

    constexpr std::int64_t cents() const noexcept { return cents_; }
    constexpr bool is_negative() const noexcept { return cents_ < 0; }
    constexpr auto operator<=>(const Money&) const noexcept = default;

private:
    constexpr explicit Money(std::int64_t cents) noexcept : cents_(cents) {}

    std::int64_t cents_ = 0;
};

/// Nothing when the result does not fit in 64 bits.
std::optional<Money> checked_add(Money a, Money b) noexcept;
std::optional<Money> checked_multiply(Money unit, std::int64_t quantity) noexcept;

/// Always two decimals: "100.00", "-0.01". Also a valid JSON number and numeric literal.
std::string to_string(Money amount);
void append_to(std::string& out, Money amount);

/// The largest amount of a numeric(10,2) and of a numeric(12,2) column.
constexpr Money kNumeric10Max = Money::from_cents(99'999'999'99);
constexpr Money kNumeric12Max = Money::from_cents(9'999'999'999'99);

}  // namespace txstream::domain
