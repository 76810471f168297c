#pragma once

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What a command found, as people and as programs read it. Pure but for screen_of_output().
namespace txstream::cli {

using Json = nlohmann::ordered_json;

enum class Format : std::uint8_t { table, json, ndjson, csv };
/// The words of `--output`.
const std::vector<std::string>& format_words();
/// Asserts that the word is one of them.
Format format_of(std::string_view word);

/// How a table shows a value. Programs read it as it is.
enum class Shown : std::uint8_t {
    text,
    number,   ///< in groups of three, to the right
    ago,      ///< a time of RFC 3339, as a span before now
    seconds,  ///< as a span
    bytes,    ///< in KiB and more
};

struct Column {
    const char* title;
    const char*
        at;  ///< JSON pointer into a row; CSV is headed by it: "/breaker/state" is breaker.state
    Shown shown = Shown::text;
};

struct Listing {
    std::vector<Column> columns;  ///< of tables and CSV; JSON has all that is in a row
    std::vector<Json> rows{};
    bool is_one = false;  ///< one thing: shown from top to bottom, and no array in JSON
    std::string none{};   ///< what is said to people where there are no rows
    std::string note{};   ///< what is said to people below, as that there may be more
};

/// Where it is read.
struct Screen {
    std::optional<std::size_t> width;  ///< of a terminal; nothing: it is none
    std::chrono::sys_time<std::chrono::microseconds> now;
};
Screen screen_of_output();

/// What goes to standard output. In every format but CSV into a file no control character is left
/// that a terminal acts on; JSON escapes them, so that programs read what was stored.
std::string render(const Listing& listing, Format format, const Screen& screen);

/// Control characters, those that turn the direction of a text or take no place, and bytes that are
/// no UTF-8, as \n, \x1b, \u{202e}, \xff.
std::string visible(std::string_view text);
/// So many columns of a terminal does visible text take.
std::size_t columns_of(std::string_view text) noexcept;

/// "500ms", "90s", "10m", "2h", "7d". Nothing for any other text.
std::optional<std::chrono::milliseconds> parse_span(std::string_view text);

}  // namespace txstream::cli
