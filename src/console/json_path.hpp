#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::console {

/// Which values of a JSON document are meant: `items[*].sku`, `"odd name"[0]`, `address.*`.
struct JsonPath {
    enum class Kind : std::uint8_t {
        member,      ///< of this name
        element,     ///< at this index
        any,         ///< every member and every element
        descendant,  ///< this value and all inside it, at any depth
    };
    struct Step {
        Kind kind = Kind::any;
        std::string name;
        std::size_t index = 0;

        friend bool operator==(const Step&, const Step&) = default;
    };
    std::vector<Step> steps;

    friend bool operator==(const JsonPath&, const JsonPath&) = default;
};

inline constexpr std::size_t kJsonPathStepsMax = 32;

/// Reads steps at `at` as far as they go: `.name`, `."odd name"`, `.*`, `[0]`, `[*]`, `['odd
/// name']` and `..name`. Ends before the first character that belongs to none. An error's text,
/// empty where there is none; `at` is then where the error is.
std::string parse_json_steps(std::string_view text, std::size_t& at, JsonPath& path);

/// A quoted text with backslash escapes (`\"`, `\\`, `\n`, `\t`, `\r`); a backslash before another
/// character is that character. `at` is at the opening quote, afterwards behind the closing one.
/// An error's text, empty where there is none.
std::string parse_quoted(std::string_view text, std::size_t& at, std::string& out);

/// Whether a value may exist that both paths select, or that lies inside the one and is selected by
/// the other.
bool may_overlap(const JsonPath& left, const JsonPath& right);

}  // namespace txstream::console
