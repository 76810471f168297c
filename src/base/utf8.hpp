#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace txstream {

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  ///< U+FFFD

/// How many bytes the UTF-8 sequence at the start of `text` has; 0 when there is none. Longer forms
/// than needed, surrogates, and what is beyond U+10FFFF are none.
std::size_t utf8_length(std::string_view text) noexcept;

bool is_utf8(std::string_view text) noexcept;

/// `text` as PostgreSQL can store it: what is no UTF-8, and NUL, become U+FFFD; what is longer than
/// `bytes_max` ends between two characters with "...".
std::string storable_text(std::string_view text, std::size_t bytes_max);

}  // namespace txstream
