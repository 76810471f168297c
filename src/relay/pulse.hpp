#pragma once

#include "runtime/deadline.hpp"

#include <algorithm>
#include <atomic>
#include <optional>

namespace txstream::relay {

/// Whether a loop goes round. Before it waits for anything it says by when it will be back: at the
/// deadline of a statement, at the end of a pause. A loop that is not back long after that hangs,
/// whatever state PostgreSQL and Kafka are in.
///
/// Written by the loop's thread, read by any.
class Pulse {
public:
    using Clock = Deadline::Clock;

    /// The loop is running.
    void beat() { by_ = Clock::now().time_since_epoch().count(); }
    /// It waits until then at most. `time_point::max()`: it waits for others to wake it, or for
    /// statements without a common deadline; nothing is due.
    void expect(Clock::time_point back) { by_ = back.time_since_epoch().count(); }
    Deadline expect(Deadline back) {
        expect(back.at());
        return back;
    }
    /// It has ended.
    void end() { by_ = kNever; }

    /// By when it will be back; nothing: nothing is due.
    std::optional<Clock::time_point> due() const {
        const auto by = by_.load();
        return by == kNever ? std::nullopt : std::optional(Clock::time_point(Clock::duration(by)));
    }

private:
    static constexpr auto kNever = Clock::time_point::max().time_since_epoch().count();

    std::atomic<Clock::rep> by_{kNever};
};

/// The earlier of two; nothing is never.
inline std::optional<Pulse::Clock::time_point> earlier(
    std::optional<Pulse::Clock::time_point> one, std::optional<Pulse::Clock::time_point> other
) {
    if (!one || !other) return one ? one : other;
    return std::min(*one, *other);
}

}  // namespace txstream::relay
