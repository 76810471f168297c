#pragma once

#include "runtime/deadline.hpp"

#include <chrono>
#include <cstdint>
#include <optional>

namespace txstream::relay {

/// Whether events wait and none leaves, by whatever cause: the net below the named blockages.
/// Decides only; looked at now and then.
class StallDetector {
public:
    using Clock = Deadline::Clock;
    static constexpr std::chrono::seconds kPatience{12};

    /// `pending` events wait; `settled` were published or parked so far, by all relays.
    bool observe(Clock::time_point now, std::uint64_t pending, std::int64_t settled) {
        if (pending == 0 || settled != settled_ || !since_) since_ = now;
        settled_ = settled;
        return pending > 0 && now - *since_ >= kPatience;
    }

private:
    std::optional<Clock::time_point> since_;
    std::int64_t settled_ = -1;
};

}  // namespace txstream::relay
