#pragma once

#include <chrono>

namespace txstream::runtime {

class VirtualTime;

namespace detail {
// Of this thread; null where time is real, which is everywhere but in a simulation.
inline constinit thread_local const VirtualTime* virtual_time = nullptr;
std::chrono::steady_clock::time_point virtual_now();
std::chrono::system_clock::time_point virtual_wall_now();
}  // namespace detail

/// The steady clock, or what a VirtualTime of this thread says. Its points in time are those of
/// std::chrono::steady_clock, so they fit wherever these do.
struct Clock {
    using duration = std::chrono::steady_clock::duration;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::steady_clock::time_point;
    // The standard's name. NOLINTNEXTLINE(readability-identifier-naming)
    static constexpr bool is_steady = true;

    static time_point now() {
        if (detail::virtual_time != nullptr) [[unlikely]]
            return detail::virtual_now();
        return std::chrono::steady_clock::now();
    }
};

/// The same for the time of day: only for what is shown or written into records, never to wait by.
struct WallClock {
    using time_point = std::chrono::system_clock::time_point;

    static time_point now() {
        if (detail::virtual_time != nullptr) [[unlikely]]
            return detail::virtual_wall_now();
        return std::chrono::system_clock::now();
    }
};

}  // namespace txstream::runtime
