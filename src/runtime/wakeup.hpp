#pragma once

#include "runtime/deadline.hpp"
#include "runtime/task.hpp"
#include "runtime/timer.hpp"

namespace txstream::runtime {

/// One task waits, others of the same thread wake it. A notify() that comes while nobody waits is
/// kept: the next wait returns at once.
class Wakeup {
public:
    explicit Wakeup(const asio::any_io_executor& executor) : timer_(executor) {}

    void notify();
    /// Returns at the next notify() or at `until`, whichever is first.
    Task<> wait(Deadline::Clock::time_point until);

private:
    Timer timer_;
    bool notified_ = false;
    bool waiting_ = false;
};

}  // namespace txstream::runtime
