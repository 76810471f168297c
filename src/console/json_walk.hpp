#pragma once

#include "console/json_path.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace txstream::console {

/// A document with more levels counts as no JSON: the walk is recursive.
inline constexpr std::size_t kJsonLevelsMax = 256;

enum class JsonType : std::uint8_t { object, array, string, number, literal };

/// A value as it was written, in the text that is walked over.
struct JsonFound {
    JsonType type;
    std::string_view text;  ///< with its quotes or brackets
};

namespace detail {
using JsonVisit = void (*)(void* context, const JsonFound& found);
bool walk_json(std::string_view text, const JsonPath& path, JsonVisit visit, void* context);
}  // namespace detail

/// Calls `visit` with every value that the path selects, in the order in which they end, of members
/// with the same name with each. Works on the bytes and allocates nothing but for names with
/// escapes: numbers of any length survive, and a payload costs no tree.
///
/// False: the text is no JSON (RFC 8259, UTF-8), so what was visited does not count. Half a
/// surrogate pair (`"\ud83d"`) is accepted as PostgreSQL's `json` does.
template <class Visit>
bool walk_json(std::string_view text, const JsonPath& path, Visit&& visit) {
    using Plain = std::remove_reference_t<Visit>;
    return detail::walk_json(
        text,
        path,
        [](void* context, const JsonFound& found) { (*static_cast<Plain*>(context))(found); },
        const_cast<void*>(static_cast<const void*>(&visit))
    );
}

bool is_json(std::string_view text);

/// A JSON string's characters. Half a surrogate pair becomes U+FFFD.
std::string json_string_text(std::string_view quoted);

}  // namespace txstream::console
