#include "domain/money.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace txstream::domain {
namespace {

// 18 nines fit in 64 bits; no amount needs the rest.
constexpr std::int64_t kDigitsMax = 18;

// Exponents are read up to here and then stay: such an amount is out of range or has too many
// decimals either way, as no text is so long that its digits could make up for it.
constexpr std::int64_t kExponentMax = 1'000'000'000'000;

/// A number taken apart: (-1)^negative · digits · 10^scale, without zeros at the ends of `digits`.
struct Decimal {
    bool negative = false;
    std::string digits;
    std::int64_t scale = 0;
};

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

std::string_view take_digits(std::string_view& text) {
    const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
    const auto taken = text.substr(0, static_cast<std::size_t>(end - text.begin()));
    text.remove_prefix(taken.size());
    return taken;
}

bool take(std::string_view& text, char c) {
    if (text.empty() || text.front() != c) return false;
    text.remove_prefix(1);
    return true;
}

std::optional<std::int64_t> take_exponent(std::string_view& text) {
    if (!take(text, 'e') && !take(text, 'E')) return 0;
    const bool negative = take(text, '-');
    if (!negative) (void)take(text, '+');  // a plus sign changes nothing
    const auto digits = take_digits(text);
    if (digits.empty()) return std::nullopt;
    std::int64_t exponent = 0;
    for (char c : digits) exponent = std::min(exponent * 10 + (c - '0'), kExponentMax);
    return negative ? -exponent : exponent;
}

/// Nothing unless `text` is a number by JSON's grammar.
std::optional<Decimal> take_apart(std::string_view text) {
    Decimal number;
    number.negative = take(text, '-');
    const auto whole = take_digits(text);
    if (whole.empty() || (whole.size() > 1 && whole.front() == '0')) return std::nullopt;
    std::string_view fraction;
    if (take(text, '.')) {
        fraction = take_digits(text);
        if (fraction.empty()) return std::nullopt;
    }
    const auto exponent = take_exponent(text);
    if (!exponent || !text.empty()) return std::nullopt;

    number.digits.reserve(whole.size() + fraction.size());
    number.digits.append(whole).append(fraction);
    number.scale = *exponent - static_cast<std::int64_t>(fraction.size());
    while (!number.digits.empty() && number.digits.back() == '0') {
        number.digits.pop_back();
        ++number.scale;
    }
    number.digits.erase(0, std::min(number.digits.find_first_not_of('0'), number.digits.size()));
    return number;
}

}  // namespace

Result<Money> Money::parse(std::string_view number, std::string_view field) {
    const auto decimal = take_apart(number);
    if (!decimal) return fail(Code::invalid_input, fmt::format("{} must be a number", field));
    if (decimal->digits.empty()) return Money();

    const std::int64_t zeros_to_cents = decimal->scale + 2;
    if (zeros_to_cents < 0) {
        return fail(Code::invalid_input, fmt::format("{} must have at most two decimals", field));
    }
    if (static_cast<std::int64_t>(decimal->digits.size()) + zeros_to_cents > kDigitsMax) {
        return fail(Code::invalid_input, fmt::format("{} is out of range", field));
    }
    std::int64_t cents = 0;
    for (char c : decimal->digits) cents = cents * 10 + (c - '0');
    for (std::int64_t i = 0; i < zeros_to_cents; ++i) cents *= 10;
    return Money(decimal->negative ? -cents : cents);
}

std::optional<Money> checked_add(Money a, Money b) noexcept {
    std::int64_t sum = 0;
    if (__builtin_add_overflow(a.cents(), b.cents(), &sum)) return std::nullopt;
    return Money::from_cents(sum);
}

std::optional<Money> checked_multiply(Money unit, std::int64_t quantity) noexcept {
    std::int64_t product = 0;
    if (__builtin_mul_overflow(unit.cents(), quantity, &product)) return std::nullopt;
    return Money::from_cents(product);
}

void append_to(std::string& out, Money amount) {
    // Unsigned, because the most negative number has no positive counterpart.
    auto magnitude = static_cast<std::uint64_t>(amount.cents());
    if (amount.is_negative()) magnitude = 0 - magnitude;
    fmt::format_to(
        std::back_inserter(out),
        "{}{}.{:02}",
        amount.is_negative() ? "-" : "",
        magnitude / 100,
        magnitude % 100
    );
}

std::string to_string(Money amount) {
    std::string text;
    append_to(text, amount);
    return text;
}

}  // namespace txstream::domain
