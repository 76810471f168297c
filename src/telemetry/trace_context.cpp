#include "telemetry/trace_context.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

namespace txstream::telemetry {

namespace {

// "00-" 32 digits "-" 16 digits "-" 2 digits.
constexpr std::size_t kVersionAt = 0;
constexpr std::size_t kTraceIdAt = 3;
constexpr std::size_t kSpanIdAt = 36;
constexpr std::size_t kFlagsAt = 53;
constexpr std::size_t kSize = 55;
constexpr std::uint64_t kInvalidVersion = 0xff;

constexpr std::string_view kKeyMarks = "_-*/@";
constexpr std::size_t kKeyBytesMax = 256;
constexpr std::size_t kValueBytesMax = 256;

bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}
bool is_lower(char c) noexcept {
    return c >= 'a' && c <= 'z';
}

// At most 16 digits.
std::optional<std::uint64_t> hex_of(std::string_view digits) noexcept {
    std::uint64_t value = 0;
    for (const char c : digits) {
        const bool is_letter = c >= 'a' && c <= 'f';
        if (!is_letter && !is_digit(c)) return std::nullopt;
        value = value << 4U | static_cast<std::uint64_t>(is_letter ? c - 'a' + 10 : c - '0');
    }
    return value;
}

bool is_key(std::string_view key) noexcept {
    if (key.empty() || key.size() > kKeyBytesMax) return false;
    if (!is_lower(key.front()) && !is_digit(key.front())) return false;
    return std::ranges::all_of(key, [](char c) {
        return is_lower(c) || is_digit(c) || kKeyMarks.find(c) != std::string_view::npos;
    });
}

bool is_value(std::string_view value) noexcept {
    return !value.empty() && value.size() <= kValueBytesMax &&
           std::ranges::all_of(value, [](char c) {
               return c >= ' ' && c <= '~' && c != ',' && c != '=';
           });
}

}  // namespace

std::string to_string(TraceId id) {
    return fmt::format("{:016x}{:016x}", id.high, id.low);
}

std::string to_string(SpanId id) {
    return fmt::format("{:016x}", id.value);
}

std::string TraceContext::traceparent() const {
    return fmt::format(
        "00-{:016x}{:016x}-{:016x}-{:02x}", trace_id.high, trace_id.low, span_id.value, flags
    );
}

std::optional<TraceContext> parse_traceparent(std::string_view text) noexcept {
    if (text.size() < kSize) return std::nullopt;
    for (const auto dash : {kTraceIdAt - 1, kSpanIdAt - 1, kFlagsAt - 1}) {
        if (text[dash] != '-') return std::nullopt;
    }
    const auto version = hex_of(text.substr(kVersionAt, 2));
    const auto high = hex_of(text.substr(kTraceIdAt, 16));
    const auto low = hex_of(text.substr(kTraceIdAt + 16, 16));
    const auto span = hex_of(text.substr(kSpanIdAt, 16));
    const auto flags = hex_of(text.substr(kFlagsAt, 2));
    if (!version || !high || !low || !span || !flags) return std::nullopt;
    if (*version == kInvalidVersion || (*high | *low) == 0 || *span == 0) return std::nullopt;
    // What a later version adds stands behind a dash; what it is we need not know.
    if (text.size() > kSize && (*version == 0 || text[kSize] != '-')) return std::nullopt;
    return TraceContext{{*high, *low}, {*span}, static_cast<std::uint8_t>(*flags)};
}

std::string join_tracestate(std::span<const std::string_view> fields) {
    std::string joined;
    std::vector<std::string_view> keys;
    std::size_t kept = 0;  // bytes, up to the end of a member
    for (auto field : fields) {
        if (!joined.empty()) joined += ',';
        while (true) {
            const auto end = std::min(field.find(','), field.size());
            const auto member = trimmed(field.substr(0, end));
            if (!member.empty()) {
                const auto equals = std::min(member.find('='), member.size());
                const auto key = member.substr(0, equals);
                const auto value = member.substr(std::min(equals + 1, member.size()));
                if (!is_key(key) || !is_value(value)) return {};
                if (std::ranges::find(keys, key) != keys.end()) return {};
                keys.push_back(key);
                if (keys.size() > kTracestateMembersMax) return {};
            }
            joined += field.substr(0, end);
            if (joined.size() <= kTracestateBytesMax) kept = joined.size();
            if (end == field.size()) break;
            joined += ',';
            field.remove_prefix(end + 1);
        }
    }
    joined.resize(kept);
    return keys.empty() ? std::string() : joined;
}

}  // namespace txstream::telemetry
