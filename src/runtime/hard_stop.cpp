#include "runtime/hard_stop.hpp"

#include <cstdlib>
#include <utility>

namespace txstream::runtime {

HardStop::HardStop(
    Deadline::Clock::time_point at, int exit_code, std::function<void()> last_words
) {
    thread_ = std::thread([this, at, exit_code, last_words = std::move(last_words)] {
        std::unique_lock lock(mutex_);
        if (changed_.wait_until(lock, at, [this] { return is_over_; })) return;
        last_words();
        std::_Exit(exit_code);
    });
}

HardStop::~HardStop() {
    {
        const std::scoped_lock lock(mutex_);
        is_over_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

}  // namespace txstream::runtime
