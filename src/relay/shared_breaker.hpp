#pragma once

#include "policy/circuit_breaker.hpp"
#include "runtime/clock.hpp"

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>

namespace txstream::relay {

/// The circuit breaker that all workers of a relay share. Thread-safe.
class SharedBreaker {
public:
    using Clock = policy::CircuitBreaker::Clock;
    using OnTransition = std::function<void(policy::CircuitBreaker::Transition)>;

    /// `on_transition` is called on the thread that caused it, in the order of the transitions; it
    /// must not come back here.
    SharedBreaker(policy::CircuitBreaker::Limits limits, OnTransition on_transition);

    bool try_acquire(Clock::time_point now);
    void success(Clock::time_point now);
    void failure(Clock::time_point now);
    void abandon();
    policy::BreakerState state() const;
    std::optional<Clock::time_point> probe_at() const;

    struct View {
        policy::BreakerState state = policy::BreakerState::closed;
        unsigned failures = 0;  ///< consecutive ones in this state
        /// Since when it is in it; at first, since it was made.
        std::chrono::system_clock::time_point since;
        std::optional<Clock::time_point> probe_at;  ///< nothing unless open
    };
    /// All of it at one moment.
    View view() const;

private:
    void tell();

    mutable std::mutex mutex_;
    policy::CircuitBreaker breaker_;                                           // guarded by mutex_
    std::chrono::system_clock::time_point since_ = runtime::WallClock::now();  // the same
    OnTransition on_transition_;
};

}  // namespace txstream::relay
