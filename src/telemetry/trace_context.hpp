#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace txstream::telemetry {

/// Never zero in a context that is used.
struct TraceId {
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    bool operator==(const TraceId&) const = default;
};
struct SpanId {
    std::uint64_t value = 0;

    bool operator==(const SpanId&) const = default;
};
/// 32 and 16 lower-case hexadecimal digits.
std::string to_string(TraceId id);
std::string to_string(SpanId id);

/// One span, as others refer to it: what a `traceparent` says (W3C Trace Context, level 2).
struct TraceContext {
    static constexpr std::uint8_t kSampled = 0x01;

    TraceId trace_id;
    SpanId span_id;
    std::uint8_t flags = 0;

    bool is_sampled() const noexcept { return (flags & kSampled) != 0; }
    /// In version 00.
    std::string traceparent() const;

    bool operator==(const TraceContext&) const = default;
};

/// The context with what the vendors on its way have added. A request carries it, and its events.
struct Trace {
    TraceContext context;
    std::string state;  ///< of `tracestate`; may be empty
};

/// Nothing when the whole header must be ignored: not 55 characters (more only in a version above
/// 00, behind a '-'), an upper-case digit, an id of zeros, version ff.
std::optional<TraceContext> parse_traceparent(std::string_view text) noexcept;

/// What W3C wants to be passed on, at least; what is more is left out, from the end.
inline constexpr std::size_t kTracestateBytesMax = 512;
inline constexpr std::size_t kTracestateMembersMax = 32;

/// The values of all `tracestate` fields as one. Empty when one of its members is malformed, a key
/// comes twice, or there are too many.
std::string join_tracestate(std::span<const std::string_view> fields);

}  // namespace txstream::telemetry
