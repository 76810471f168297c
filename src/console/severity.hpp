#pragma once

#include <cstdint>
#include <string_view>

namespace txstream::console {

enum class Severity : std::uint8_t { ok, info, warn, bad };

constexpr std::string_view to_string(Severity severity) noexcept {
    switch (severity) {
        case Severity::ok:
            return "ok";
        case Severity::info:
            return "info";
        case Severity::warn:
            return "warn";
        case Severity::bad:
            return "bad";
    }
    return "";
}

}  // namespace txstream::console
