#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace txstream::console {

/// A JSON number of any length, compared exactly: 9223372036854775807 is not 9223372036854775806,
/// 0.10 equals 0.1, 1e400 is a number and -0 equals 0. A double would get each of these wrong.
///
/// Refers to the text it was parsed from; comparing allocates nothing.
class Decimal {
public:
    /// Of exponents; a number with more is no decimal, unless it is zero.
    static constexpr std::size_t kExponentDigitsMax = 17;

    /// The whole of `text`, in JSON's grammar. A leading `+`, leading zeros, `.5` and `5.` are
    /// refused as JSON refuses them.
    static std::optional<Decimal> parse(std::string_view text) noexcept;

    friend std::strong_ordering operator<=>(const Decimal& left, const Decimal& right) noexcept;
    friend bool operator==(const Decimal& left, const Decimal& right) noexcept {
        return (left <=> right) == std::strong_ordering::equal;
    }

private:
    int sign() const noexcept { return digits_.empty() ? 0 : is_negative_ ? -1 : 1; }

    std::string_view digits_;    ///< from the first that is not 0, maybe with a point; empty: zero
    std::int64_t exponent_ = 0;  ///< of the first digit
    bool is_negative_ = false;
};

}  // namespace txstream::console
