#pragma once

#include "runtime/deadline.hpp"

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace txstream::relay {

/// When a line about refused, waiting and parked events is written: at most one a second for all
/// workers, with the first of them as the example. Thread-safe; decides only.
class RefusalLog {
public:
    using Time = Deadline::Clock::time_point;
    static constexpr std::chrono::seconds kInterval{1};

    struct Example {
        std::string event_id;
        std::string trace_id;  ///< empty: none
        std::string topic;
        std::string error_type;
        std::string error;
    };
    struct Counts {
        std::uint64_t refused = 0;  ///< records, each time
        std::uint64_t waiting = 0;  ///< tries that found that a topic takes nothing
        std::uint64_t parked = 0;   ///< events
    };
    struct Line {
        Counts counts;
        Example example;
    };

    template <class MakeExample>
    std::optional<Line> add(Counts counts, MakeExample example, Time now) {
        const std::scoped_lock lock(mutex_);
        // A parked event is what an operator looks for.
        const bool is_first = is_empty() || (counts.parked > 0 && open_.counts.parked == 0);
        open_.counts.refused += counts.refused;
        open_.counts.waiting += counts.waiting;
        open_.counts.parked += counts.parked;
        if (is_first) open_.example = example();
        return take(now);
    }
    std::optional<Line> due(Time now) {
        const std::scoped_lock lock(mutex_);
        return take(now);
    }

private:
    bool is_empty() const {
        return open_.counts.refused + open_.counts.waiting + open_.counts.parked == 0;
    }
    std::optional<Line> take(Time now) {
        if (is_empty() || now < next_) return std::nullopt;
        next_ = now + kInterval;
        return std::exchange(open_, Line());
    }

    std::mutex mutex_;
    Line open_;    // guarded by mutex_
    Time next_{};  // the same
};

}  // namespace txstream::relay
