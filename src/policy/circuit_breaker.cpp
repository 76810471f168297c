#include "policy/circuit_breaker.hpp"

#include "base/assert.hpp"

namespace txstream::policy {

std::string_view to_string(BreakerState state) noexcept {
    switch (state) {
        case BreakerState::closed:
            return "closed";
        case BreakerState::half_open:
            return "half_open";
        case BreakerState::open:
            return "open";
    }
    return "unknown";
}

CircuitBreaker::CircuitBreaker(Limits limits) : limits_(limits) {
    TXS_ASSERT(
        limits.failure_threshold > 0 && limits.success_threshold > 0, "thresholds count from one"
    );
}

bool CircuitBreaker::try_acquire(Clock::time_point now) {
    if (!limits_.enabled) return true;
    if (state_ == BreakerState::open && now >= last_failure_ + limits_.reset_timeout) {
        move_to(BreakerState::half_open);
    }
    switch (state_) {
        case BreakerState::closed:
            return true;
        case BreakerState::open:
            return false;
        case BreakerState::half_open:
            if (probing_) return false;
            probing_ = true;
            return true;
    }
    return false;
}

void CircuitBreaker::success(Clock::time_point) {
    failures_ = 0;
    if (state_ != BreakerState::half_open) return;
    probing_ = false;
    if (++successes_ >= limits_.success_threshold) move_to(BreakerState::closed);
}

void CircuitBreaker::failure(Clock::time_point now) {
    if (!limits_.enabled) return;
    last_failure_ = now;
    ++failures_;
    if (state_ == BreakerState::half_open || failures_ >= limits_.failure_threshold) {
        move_to(BreakerState::open);
    }
}

void CircuitBreaker::abandon() {
    probing_ = false;
}

std::optional<CircuitBreaker::Clock::time_point> CircuitBreaker::probe_at() const {
    if (state_ != BreakerState::open) return std::nullopt;
    return last_failure_ + limits_.reset_timeout;
}

std::optional<CircuitBreaker::Transition> CircuitBreaker::take_transition() {
    auto taken = transition_;
    transition_.reset();
    return taken;
}

void CircuitBreaker::move_to(BreakerState next) {
    if (state_ == next) return;
    transition_ = Transition{.from = transition_ ? transition_->from : state_, .to = next};
    state_ = next;
    failures_ = 0;
    successes_ = 0;
    probing_ = false;
}

}  // namespace txstream::policy
