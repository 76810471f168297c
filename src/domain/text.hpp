#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace txstream::domain {

/// Of UTF-8 text: its code points, which is what PostgreSQL's varchar(n) counts.
std::size_t count_characters(std::string_view utf8) noexcept;

/// A client's text for an error or a log line: what is longer than `characters_max` is cut there
/// and ends in "…".
std::string excerpt(std::string_view utf8, std::size_t characters_max = 64);

/// Of nothing but white space and control characters of ASCII, or empty.
bool is_blank(std::string_view text) noexcept;

}  // namespace txstream::domain
