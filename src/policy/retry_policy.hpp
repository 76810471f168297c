#pragma once

#include <chrono>

namespace txstream::policy {

/// When to try again. Pure: the randomness comes in as an argument.
struct RetryPolicy {
    bool exponential = true;  ///< off: always `fixed_delay`
    std::chrono::milliseconds fixed_delay{1000};
    std::chrono::milliseconds base_delay{1000};
    std::chrono::milliseconds max_delay{30000};
    double multiplier = 2.0;

    /// Delay before try number `attempt` + 1 (`attempt` counts failures from 0).
    /// base · multiplier^attempt, times a jitter factor in [0.5, 1.5), capped at max_delay.
    /// `uniform` is a random number in [0, 1).
    std::chrono::milliseconds delay(unsigned attempt, double uniform) const;
};

}  // namespace txstream::policy
