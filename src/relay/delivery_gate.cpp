#include "relay/delivery_gate.hpp"

#include <algorithm>

namespace txstream::relay {

namespace {

// Another worker has the probe; when it is done nobody tells us.
constexpr std::chrono::milliseconds kAskBreakerAgain{50};

}  // namespace

bool DeliveryGate::may_send(Clock::time_point now) {
    // Reading goes on until the probe has something to send, be it some statements later.
    if (state_ == State::probing) return !waiting_since_;
    if (state_ == State::paused && now < paused_until_) return false;
    if (state_ == State::flowing && !is_proof_due_ &&
        breaker_.state() == policy::BreakerState::closed) {
        return true;
    }
    if (!breaker_.try_acquire(now)) {
        state_ = State::paused;
        paused_until_ = std::max(now + kAskBreakerAgain, breaker_.probe_at().value_or(now));
        return false;
    }
    holds_probe_ = true;
    state_ = State::probing;
    // What was in flight before belongs to the probe, and its time starts anew.
    if (waiting_since_) waiting_since_ = now;
    return !waiting_since_;
}

void DeliveryGate::nothing_sent() {
    if (state_ != State::probing || waiting_since_) return;
    leave();
    state_ = State::flowing;
    is_proof_due_ = true;
}

std::optional<DeliveryGate::Clock::time_point> DeliveryGate::ask_again_at() const {
    if (state_ != State::paused) return std::nullopt;
    return paused_until_;
}

void DeliveryGate::sent(Clock::time_point now) {
    if (!waiting_since_) waiting_since_ = now;
}

void DeliveryGate::acknowledged(Clock::time_point now, bool more_in_flight) {
    if (more_in_flight) {
        waiting_since_ = now;
    } else {
        waiting_since_.reset();
    }
    failures_ = 0;
    is_proof_due_ = false;
    holds_probe_ = false;
    breaker_.success(now);
    // A late acknowledgement ends a pause: Kafka is back. An open breaker takes its time all the
    // same, and may_send() asks it.
    state_ = State::flowing;
}

void DeliveryGate::forgotten() {
    waiting_since_.reset();
    nothing_sent();
}

void DeliveryGate::doubted() {
    if (state_ == State::flowing) is_proof_due_ = true;
}

std::optional<DeliveryGate::Failure> DeliveryGate::failed(Clock::time_point now, double uniform) {
    if (state_ == State::paused) return std::nullopt;
    // Nothing was tried since the last failure: it is the same outage.
    if (state_ == State::flowing && is_proof_due_ && !waiting_since_) return std::nullopt;
    const auto delay = limits_.retry.delay(failures_, uniform);
    ++failures_;
    holds_probe_ = false;
    breaker_.failure(now);
    state_ = State::paused;
    paused_until_ = now + delay;
    return Failure{failures_, delay};
}

std::optional<DeliveryGate::Clock::time_point> DeliveryGate::times_out_at() const {
    if (!waiting_since_ || state_ == State::paused) return std::nullopt;
    return *waiting_since_ +
           (state_ == State::probing ? limits_.probe_timeout : limits_.publish_timeout);
}

void DeliveryGate::leave() {
    if (holds_probe_) breaker_.abandon();
    holds_probe_ = false;
}

}  // namespace txstream::relay
