#pragma once

#include "policy/retry_policy.hpp"
#include "relay/shared_breaker.hpp"

#include <chrono>
#include <cstddef>
#include <optional>

namespace txstream::relay {

/// Whether a worker may hand events to Kafka now, judged by what became of those before. Decides
/// only: time and randomness are passed in.
///
///     flowing ──failed──▶ paused ──delay over, breaker admits──▶ probing ──acknowledged──▶ flowing
///                            ▲                                      │
///                            └───────────────── failed ─────────────┘
///
/// While paused nothing is read or handed over, and events wait in their table with no attempt
/// counted. The pause grows with each failure in a row (RetryPolicy). A probe is one reading's
/// worth of events; until one of them is acknowledged nothing else moves. While the breaker is
/// half-open every step is a probe.
class DeliveryGate {
public:
    using Clock = SharedBreaker::Clock;
    enum class State : std::uint8_t { flowing, paused, probing };

    struct Limits {
        policy::RetryPolicy retry;
        /// Something in flight and no acknowledgement for so long is a failure.
        std::chrono::milliseconds publish_timeout{30000};
        std::chrono::milliseconds probe_timeout{10000};
    };
    struct Failure {
        unsigned retry;  ///< which one the coming probe is, from 1
        std::chrono::milliseconds delay;
    };

    DeliveryGate(Limits limits, SharedBreaker& breaker) : limits_(limits), breaker_(breaker) {}

    State state() const noexcept { return state_; }
    /// The breaker lets nothing pass, or single probes.
    bool is_held_by_breaker() const { return breaker_.state() != policy::BreakerState::closed; }
    /// True when events may be read and handed over now. May begin a probe, which ends with a
    /// report, failed() or nothing_sent().
    bool may_send(Clock::time_point now);
    /// The reading found nothing and nothing is in flight: the probe proved nothing.
    void nothing_sent();
    /// When to ask again; nothing while flowing.
    std::optional<Clock::time_point> ask_again_at() const;

    /// Events were handed over while none was in flight.
    void sent(Clock::time_point now);
    void acknowledged(Clock::time_point now, bool more_in_flight);
    /// What was in flight is no longer waited for; a probe proved nothing.
    void forgotten();
    /// No broker can be reached, and nothing was under way: the next events are a probe.
    void doubted();
    /// A failure that is not the event's. Nothing when a pause is under way already: one outage
    /// makes one failure for each attempt, however many reports tell of it.
    std::optional<Failure> failed(Clock::time_point now, double uniform);
    /// Since when an acknowledgement is waited for.
    std::optional<Clock::time_point> waiting_since() const { return waiting_since_; }
    /// When failed() is due for want of an acknowledgement.
    std::optional<Clock::time_point> times_out_at() const;
    /// The worker ends: somebody else may probe.
    void leave();

private:
    Limits limits_;
    SharedBreaker& breaker_;
    State state_ = State::flowing;
    unsigned failures_ = 0;
    Clock::time_point paused_until_{};
    std::optional<Clock::time_point> waiting_since_;  ///< for the next acknowledgement
    bool holds_probe_ = false;
    bool is_proof_due_ = false;  ///< a pause has ended and nothing was acknowledged since
};

}  // namespace txstream::relay
