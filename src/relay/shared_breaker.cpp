#include "relay/shared_breaker.hpp"

#include <utility>

namespace txstream::relay {

SharedBreaker::SharedBreaker(policy::CircuitBreaker::Limits limits, OnTransition on_transition)
    : breaker_(limits), on_transition_(std::move(on_transition)) {
}

bool SharedBreaker::try_acquire(Clock::time_point now) {
    const std::scoped_lock lock(mutex_);
    const bool granted = breaker_.try_acquire(now);
    tell();
    return granted;
}

void SharedBreaker::success(Clock::time_point now) {
    const std::scoped_lock lock(mutex_);
    breaker_.success(now);
    tell();
}

void SharedBreaker::failure(Clock::time_point now) {
    const std::scoped_lock lock(mutex_);
    breaker_.failure(now);
    tell();
}

void SharedBreaker::abandon() {
    const std::scoped_lock lock(mutex_);
    breaker_.abandon();
}

policy::BreakerState SharedBreaker::state() const {
    const std::scoped_lock lock(mutex_);
    return breaker_.state();
}

std::optional<SharedBreaker::Clock::time_point> SharedBreaker::probe_at() const {
    const std::scoped_lock lock(mutex_);
    return breaker_.probe_at();
}

SharedBreaker::View SharedBreaker::view() const {
    const std::scoped_lock lock(mutex_);
    return {breaker_.state(), breaker_.failures(), since_, breaker_.probe_at()};
}

void SharedBreaker::tell() {
    const auto transition = breaker_.take_transition();
    if (!transition) return;
    since_ = runtime::WallClock::now();
    if (on_transition_) on_transition_(*transition);
}

}  // namespace txstream::relay
