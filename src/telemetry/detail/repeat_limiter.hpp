#pragma once

#include "telemetry/log.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace txstream::log::detail {

/// Identifies a kind of line: what a failure that lasts says again and again. Made of component,
/// level, message and the fields that name a class (error_type, status, route, topic, ...), never
/// of ids or error texts. Runs of digits count as one, because librdkafka writes ports and
/// durations into its messages.
std::uint64_t kind_of(
    Level level, std::string_view component, std::string_view message, std::span<const Field> fields
) noexcept;

/// Decides which lines of a kind are written at once and which are only counted.
///
/// The first lines of a kind are written at once. Then one line for each window stands for all that
/// followed; each window is twice as long as the one before, up to a limit: a failure that lasts
/// has said what it is. A kind that was silent for a whole window is forgotten, so that its next
/// line is again written at once. Pure: the caller passes the time. Not thread-safe.
class RepeatLimiter {
public:
    using Time = std::chrono::nanoseconds;  ///< of any steady clock

    static constexpr Time kWindow = std::chrono::seconds(5);
    static constexpr Time kWindowMax = std::chrono::seconds(40);
    static constexpr std::uint64_t kAtOnce = 3;
    /// Beyond it, all further kinds of a level share one.
    static constexpr std::size_t kKindsMax = 256;

    /// A line that stands for `repeats` ones.
    struct Summary {
        Level level;
        std::string line;  ///< the first of them, as it was given to keep()
        std::uint64_t repeats;
        Time within;
    };

    /// True: write the line. False: it is counted; when `wants_sample`, call keep().
    bool admit(std::uint64_t kind, Level level, Time now);
    bool wants_sample() const noexcept { return sampled_ != nullptr; }
    void keep(std::string line);

    /// What is to be written at `now`. Call it before admit(), and regularly, since a kind may have
    /// gone quiet.
    std::vector<Summary> due(Time now);
    /// Everything counted and not yet told, whatever the time: the process ends.
    std::vector<Summary> rest(Time now);

private:
    struct Kind {
        Level level;
        Time window_began;
        std::uint64_t at_once = 0;
        std::uint64_t repeats = 0;
        std::string sample{};
        Time window = kWindow;
    };

    Summary tell(Kind& kind, Time now);

    std::unordered_map<std::uint64_t, Kind> kinds_;
    Kind* sampled_ = nullptr;
    Time next_due_ = Time::max();  ///< no window ends before it
};

}  // namespace txstream::log::detail
