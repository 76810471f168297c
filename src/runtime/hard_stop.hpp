#pragma once

#include "runtime/deadline.hpp"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace txstream::runtime {

/// Ends the process at a moment, whatever its threads are doing, unless it is destroyed before: a
/// stop has a limit that holds even for a call that never returns.
class HardStop {
public:
    /// `last_words` is called on a thread of this object.
    HardStop(Deadline::Clock::time_point at, int exit_code, std::function<void()> last_words);
    ~HardStop();
    HardStop(const HardStop&) = delete;
    HardStop& operator=(const HardStop&) = delete;

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool is_over_ = false;  // guarded by mutex_
    std::thread thread_;
};

}  // namespace txstream::runtime
