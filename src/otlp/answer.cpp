#include "otlp/answer.hpp"

#include <algorithm>
#include <charconv>

namespace txstream::otlp {

Verdict verdict_of(int status) noexcept {
    if (status >= 200 && status < 300) return Verdict::taken;
    const bool may_pass = status == 429 || status == 502 || status == 503 || status == 504;
    return may_pass ? Verdict::later : Verdict::refused;
}

std::optional<std::chrono::milliseconds> pause_of(std::string_view retry_after) noexcept {
    std::uint64_t seconds = 0;
    const auto* const end = retry_after.data() + retry_after.size();
    const auto [rest, error] = std::from_chars(retry_after.data(), end, seconds);
    if (retry_after.empty() || rest != end) return std::nullopt;
    if (error == std::errc::result_out_of_range) return kPauseMax;
    constexpr auto kMost = static_cast<std::uint64_t>(kPauseMax.count());
    return std::chrono::seconds(std::min(seconds, kMost));
}

}  // namespace txstream::otlp
