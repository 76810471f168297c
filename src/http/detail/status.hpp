#pragma once

#include <string_view>

namespace txstream::http::detail {

/// The phrase of RFC 9110: "Not Found".
std::string_view reason(int status) noexcept;

/// One word for programs, of a refusal that has no better one: "not_found".
std::string_view code_word(int status) noexcept;

/// All that a client learns of a failure on our side.
std::string_view standard_text(int status) noexcept;

}  // namespace txstream::http::detail
