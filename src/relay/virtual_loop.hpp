#pragma once

#include "runtime/deadline.hpp"
#include "runtime/virtual_time.hpp"

#include <boost/asio/io_context.hpp>

#include <optional>

namespace txstream::relay {

/// An event loop for tests, in virtual time: whatever the machine does meanwhile, nothing comes too
/// late, and no test waits. Made before everything that has a Timer.
class VirtualLoop {
public:
    using Clock = Deadline::Clock;

    asio::any_io_executor executor() { return loop_.get_executor(); }
    /// Runs until the condition holds; it is asked after each handler. False: so much time has
    /// passed, or nothing is left that could happen.
    template <class Condition>
    bool until(Condition condition, Clock::duration limit = std::chrono::seconds(30)) {
        const auto end = Clock::now() + limit;
        while (!condition()) {
            if (Clock::now() > end) return false;
            loop_.restart();
            if (loop_.poll_one() > 0) {
                time_.advance(Clock::now() + kHandlerTime);
                continue;
            }
            const auto next = time_.next();
            if (!next || *next > end) {
                time_.advance(end);
                return false;
            }
            time_.advance(*next);
        }
        return true;
    }

private:
    // Time passes also where a condition wakes up what is tested each time that it is asked.
    static constexpr std::chrono::microseconds kHandlerTime{1};

    runtime::VirtualTime time_;
    asio::io_context loop_;
};

}  // namespace txstream::relay
