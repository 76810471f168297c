#pragma once

#include "runtime/deadline.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace txstream::relay {

/// When a line about published batches is written: at once after a quiet time, else one in ten
/// seconds for all of them. One for each would be a thousand a second at small pages, and would say
/// nothing that the metrics do not. Pure.
class BatchLog {
public:
    using Time = Deadline::Clock::time_point;
    static constexpr std::chrono::seconds kInterval{10};

    struct Line {
        std::int64_t events = 0;
        std::uint64_t batches = 0;
        std::chrono::milliseconds within{};  ///< since the last line; 0: it is about one batch
    };

    std::optional<Line> add(std::int64_t events, Time now) {
        open_.events += events;
        ++open_.batches;
        return due(now);
    }
    std::optional<Line> due(Time now) {
        if (next_ && now < *next_) return std::nullopt;
        return rest(now);
    }
    /// Whatever the time: the worker ends.
    std::optional<Line> rest(Time now) {
        if (open_.batches == 0) {
            next_.reset();
            return std::nullopt;
        }
        auto line = std::exchange(open_, Line());
        if (next_)
            line.within =
                std::chrono::duration_cast<std::chrono::milliseconds>(now - (*next_ - kInterval));
        next_ = now + kInterval;
        return line;
    }

private:
    Line open_;
    std::optional<Time> next_;
};

}  // namespace txstream::relay
