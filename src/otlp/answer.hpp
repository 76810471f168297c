#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace txstream::otlp {

/// What OTLP says of an answer's status. Pure.
enum class Verdict : std::uint8_t {
    taken,
    later,   ///< 429, 502, 503, 504: the same again, after a pause
    refused  ///< everything else: never again
};
Verdict verdict_of(int status) noexcept;

/// However long a collector asks us to wait.
inline constexpr std::chrono::seconds kPauseMax{30};

/// Of a Retry-After in seconds, kPauseMax at most. Nothing for a date: its clock is not ours.
std::optional<std::chrono::milliseconds> pause_of(std::string_view retry_after) noexcept;

}  // namespace txstream::otlp
