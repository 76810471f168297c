#include "console/decimal.hpp"

#include <algorithm>
#include <charconv>

namespace txstream::console {

namespace {

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

std::size_t digits_at(std::string_view text, std::size_t at) noexcept {
    std::size_t end = at;
    while (end < text.size() && is_digit(text[end])) ++end;
    return end - at;
}

/// Compares two sequences of digits as fractions: a missing digit is 0, a point is passed over.
std::strong_ordering compare_digits(std::string_view left, std::string_view right) noexcept {
    std::size_t l = 0;
    std::size_t r = 0;
    const auto next = [](std::string_view digits, std::size_t& at) {
        if (at < digits.size() && digits[at] == '.') ++at;
        return at < digits.size() ? digits[at++] : '0';
    };
    while (l < left.size() || r < right.size()) {
        const char a = next(left, l);
        const char b = next(right, r);
        if (a != b) return a <=> b;
    }
    return std::strong_ordering::equal;
}

/// Of the first digit that is not 0, how many powers of ten it stands for.
std::int64_t first_place(std::size_t whole, std::size_t first) noexcept {
    const auto at = static_cast<std::int64_t>(first);
    const auto point = static_cast<std::int64_t>(whole);
    return first < whole ? point - at - 1 : point - at;
}

}  // namespace

std::optional<Decimal> Decimal::parse(std::string_view text) noexcept {
    Decimal decimal;
    if (!text.empty() && text.front() == '-') {
        decimal.is_negative_ = true;
        text.remove_prefix(1);
    }
    const auto whole = digits_at(text, 0);
    if (whole == 0 || (whole > 1 && text.front() == '0')) return std::nullopt;
    std::size_t end = whole;
    if (end < text.size() && text[end] == '.') {
        const auto fraction = digits_at(text, end + 1);
        if (fraction == 0) return std::nullopt;
        end += 1 + fraction;
    }
    const auto mantissa = text.substr(0, end);
    const auto first = mantissa.find_first_not_of("0.");
    std::string_view exponent;
    bool is_small = false;
    if (end < text.size()) {
        if (text[end] != 'e' && text[end] != 'E') return std::nullopt;
        ++end;
        if (end < text.size() && (text[end] == '+' || text[end] == '-'))
            is_small = text[end++] == '-';
        exponent = text.substr(end);
        if (exponent.empty() || digits_at(exponent, 0) != exponent.size()) return std::nullopt;
    }
    if (first == std::string_view::npos) return decimal;
    exponent.remove_prefix(std::min(exponent.find_first_not_of('0'), exponent.size()));
    if (exponent.size() > kExponentDigitsMax) return std::nullopt;
    std::int64_t power = 0;
    (void)std::from_chars(exponent.data(), exponent.data() + exponent.size(), power);
    decimal.digits_ = mantissa.substr(first);
    decimal.exponent_ = first_place(whole, first) + (is_small ? -power : power);
    return decimal;
}

std::strong_ordering operator<=>(const Decimal& left, const Decimal& right) noexcept {
    if (left.sign() != right.sign()) return left.sign() <=> right.sign();
    if (left.sign() == 0) return std::strong_ordering::equal;
    auto magnitude = left.exponent_ <=> right.exponent_;
    if (magnitude == std::strong_ordering::equal)
        magnitude = compare_digits(left.digits_, right.digits_);
    if (left.is_negative_) return 0 <=> magnitude;
    return magnitude;
}

}  // namespace txstream::console
