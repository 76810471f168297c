#pragma once

#include "domain/json_value.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace txstream::outbox {

inline constexpr std::string_view kNull = "null";  // how some client libraries say "none"
inline constexpr std::string_view kTraceparent = "traceparent";

/// The text of a JSON string. Nothing when no text in UTF-8 can be what the token says (half a
/// surrogate pair).
inline std::optional<std::string> text_of(std::string_view string_token) {
    auto text = domain::parse_json(string_token);
    if (!text || !text->is(domain::JsonKind::string)) return std::nullopt;
    return text->string();
}

/// Where the text stands in `out` now; good as long as `out` does not move.
inline std::string_view append_plain(std::string& out, std::string_view text) {
    const auto at = out.size();
    out += text;
    return std::string_view(out).substr(at);
}

}  // namespace txstream::outbox
