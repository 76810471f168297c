#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace txstream::http::detail {

/// Header names are compared without regard to ASCII case.
bool same_name(std::string_view left, std::string_view right) noexcept;

/// ASCII letters only.
std::string lowered(std::string_view text);

/// Without spaces and tabs at both ends.
std::string_view trimmed(std::string_view text) noexcept;

/// -1 when it is none.
int hex_digit(char c) noexcept;

/// True for UTF-8 as RFC 3629 has it: shortest forms only, no surrogates.
bool is_utf8(std::string_view text) noexcept;

enum class Plus : bool { stays, is_space };  ///< '+' means a space in a query, not in a path

/// Undoes percent-encoding. Nothing when an escape is broken, or when the result is no UTF-8 or
/// holds a NUL: no text of ours does, and PostgreSQL would refuse it later and less clearly.
std::optional<std::string> percent_decoded(std::string_view text, Plus plus);

/// With quotes, as JSON; bytes that are no UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

}  // namespace txstream::http::detail
