#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace txstream::policy {

/// Values are those of the metric txstream_circuit_breaker_state; names are its labels.
enum class BreakerState : std::uint8_t { closed = 0, half_open = 1, open = 2 };

std::string_view to_string(BreakerState state) noexcept;

/// Pauses work on a peer that keeps failing. Pure: `now` comes in, a verdict goes out.
///
/// closed → open after `failure_threshold` consecutive failures → half-open `reset_timeout` after
/// the last failure, one probe at a time → closed after `success_threshold` successes; a failure
/// while half-open opens it again. An open breaker only pauses: whoever is refused keeps its work
/// and counts nothing against it. Not thread-safe; relay::SharedBreaker shares one.
class CircuitBreaker {
public:
    using Clock = std::chrono::steady_clock;

    struct Limits {
        bool enabled = true;
        unsigned failure_threshold = 5;
        unsigned success_threshold = 3;
        std::chrono::milliseconds reset_timeout{30000};
    };

    struct Transition {
        BreakerState from;
        BreakerState to;
    };

    explicit CircuitBreaker(Limits limits);

    /// Asks for permission to try. In half-open, the asker holds the one probe until it reports
    /// success(), failure() or abandon().
    bool try_acquire(Clock::time_point now);
    void success(Clock::time_point now);
    void failure(Clock::time_point now);
    /// The try ended without a verdict on the peer (we were told to stop, the lease ran out).
    void abandon();

    BreakerState state() const noexcept { return state_; }
    /// Consecutive ones in this state.
    unsigned failures() const noexcept { return failures_; }
    /// When an open breaker will admit a probe; nothing unless open.
    std::optional<Clock::time_point> probe_at() const;
    /// The state change since the last call, for metrics and logs.
    std::optional<Transition> take_transition();

private:
    void move_to(BreakerState next);

    Limits limits_;
    BreakerState state_ = BreakerState::closed;
    unsigned failures_ = 0;
    unsigned successes_ = 0;
    bool probing_ = false;
    Clock::time_point last_failure_{};
    std::optional<Transition> transition_;
};

}  // namespace txstream::policy
