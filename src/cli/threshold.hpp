#pragma once

#include "base/error.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

// `--fail-if`: a limit of one figure, for checks that need no Prometheus.
namespace txstream::cli {

/// What a limit may be set to.
struct Figure {
    std::string_view name;
    bool is_span = false;  ///< its limit is "60s" or "5m", its value in seconds
};

struct Threshold {
    enum class Comparison : std::uint8_t { less, at_most, equal, unequal, at_least, more };

    std::string name;
    Comparison comparison = Comparison::more;
    double limit = 0;
    std::string text;  ///< as it was written, without blanks
};

/// "pending>1000", "oldest_pending >= 60s". Code::invalid_input says what is wrong, and what there
/// is.
Result<Threshold> parse_threshold(std::string_view text, std::span<const Figure> figures);

/// Whether the check finds something: the figure's value is beyond the limit.
bool is_beyond(const Threshold& threshold, double value) noexcept;

}  // namespace txstream::cli
