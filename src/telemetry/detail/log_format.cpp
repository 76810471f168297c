#include "telemetry/detail/log_format.hpp"

#include "base/text.hpp"
#include "base/utf8.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <iterator>
#include <type_traits>

namespace txstream::log {

namespace {

constexpr std::size_t kTextBytesMax = 8192;  // of a message or value: the rest is cut off
constexpr std::string_view kCut = "...";

constexpr std::array<std::string_view, kLevels> kLevelColumns{
    "DEBUG", "INFO ", "WARN ", "ERROR", "FATAL"
};

// A peer's error text may have any length and any bytes.
void append_json(std::string& out, std::string_view text) {
    if (text.size() <= kTextBytesMax) return append_json_string(out, text);
    std::size_t end = 0;
    while (true) {
        const auto next = end + std::max<std::size_t>(utf8_length(text.substr(end)), 1);
        if (next > kTextBytesMax) break;
        end = next;
    }
    append_json_string(out, std::string(text.substr(0, end)).append(kCut));
}

void append_number(std::string& out, double value) {
    // JSON has no NaN or infinity.
    if (std::isfinite(value)) {
        fmt::format_to(std::back_inserter(out), "{}", value);
    } else {
        out += "null";
    }
}

bool is_bare_word(std::string_view text) {
    if (text.empty()) return false;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= ' ' || byte >= 0x7F || c == '"' || c == '=' || c == '\\') return false;
    }
    return true;
}

void append_value(std::string& out, const Field::Value& value, Format format) {
    std::visit(
        [&](const auto& held) {
            using T = std::decay_t<decltype(held)>;
            if constexpr (std::is_same_v<T, std::string_view>) {
                if (format == Format::text && held.size() <= kTextBytesMax && is_bare_word(held)) {
                    out += held;
                } else {
                    append_json(out, held);
                }
            } else if constexpr (std::is_same_v<T, double>) {
                append_number(out, held);
            } else if constexpr (std::is_same_v<T, bool>) {
                out += held ? "true" : "false";
            } else if constexpr (std::is_same_v<T, std::nullptr_t>) {
                out += "null";
            } else {
                fmt::format_to(std::back_inserter(out), "{}", held);
            }
        },
        value
    );
}

void append_time(std::string& out, std::int64_t unix_nanoseconds, int digits) {
    constexpr std::int64_t kSecond = 1'000'000'000;
    std::int64_t nanoseconds = unix_nanoseconds % kSecond;
    std::time_t seconds = unix_nanoseconds / kSecond;
    if (nanoseconds < 0) {
        nanoseconds += kSecond;
        --seconds;
    }
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    for (int i = digits; i < 9; ++i) nanoseconds /= 10;
    fmt::format_to(
        std::back_inserter(out),
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:0{}}Z",
        utc.tm_year + 1900,
        utc.tm_mon + 1,
        utc.tm_mday,
        utc.tm_hour,
        utc.tm_min,
        utc.tm_sec,
        nanoseconds,
        digits
    );
}

}  // namespace

namespace detail {

void begin_line(std::string& out, Format format, std::int64_t unix_nanoseconds) {
    if (format == Format::text) {
        append_time(out, unix_nanoseconds, 3);
        out += ' ';
        return;
    }
    out += "{\"time\":\"";
    append_time(out, unix_nanoseconds, 9);
    out += '"';
}

void append_field(std::string& out, Format format, const Field& field) {
    if (format == Format::text) {
        out += ' ';
        out += field.key();
        out += '=';
    } else {
        out += ',';
        append_json(out, field.key());
        out += ':';
    }
    append_value(out, field.value(), format);
}

void append_body(
    std::string& out,
    Format format,
    Level level,
    std::string_view component,
    std::string_view message,
    std::span<const Field> fields
) {
    if (format == Format::text) {
        out += kLevelColumns[static_cast<std::size_t>(level)];
        out += ' ';
        out += component;
        out += ": ";
        // A line break inside a message would let a peer forge lines.
        const std::size_t start = out.size();
        append_json(out, message);
        out.erase(start, 1);
        out.pop_back();
    } else {
        out += ",\"level\":\"";
        out += to_string(level);
        out += "\",\"msg\":";
        append_json(out, message);
        out += ",\"component\":";
        append_json(out, component);
    }
    for (const Field& field : fields) append_field(out, format, field);
}

void end_line(std::string& out, Format format) {
    if (format != Format::text) out += '}';
}

}  // namespace detail

std::string format_line(
    Format format,
    std::int64_t unix_nanoseconds,
    Level level,
    std::string_view component,
    std::string_view message,
    std::span<const Field> fields
) {
    std::string out;
    out.reserve(256);
    detail::begin_line(out, format, unix_nanoseconds);
    detail::append_body(out, format, level, component, message, fields);
    detail::end_line(out, format);
    return out;
}

}  // namespace txstream::log
