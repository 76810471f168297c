#pragma once

#include "runtime/clock.hpp"

namespace txstream {

/// An absolute point in time until which a caller is willing to wait; passed down, never extended.
class Deadline {
public:
    using Clock = runtime::Clock;

    explicit Deadline(Clock::time_point at) : at_(at) {}
    static Deadline in(Clock::duration from_now) { return Deadline(Clock::now() + from_now); }

    Clock::time_point at() const noexcept { return at_; }
    bool passed() const { return Clock::now() >= at_; }
    Clock::duration left() const { return at_ - Clock::now(); }
    Deadline sooner(Deadline other) const { return Deadline(at_ < other.at_ ? at_ : other.at_); }

private:
    Clock::time_point at_;
};

}  // namespace txstream
