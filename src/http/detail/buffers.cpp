#include "http/detail/buffers.hpp"

#include <utility>

namespace txstream::http::detail {

bool Buffers::Share::hold(std::size_t bytes, Clock::time_point since) {
    pin();
    all_.count(*this, bytes > kEachBytes ? bytes - kEachBytes : 0);
    if (bytes_ == 0) return true;
    since_ = since;
    is_waiting_ = true;
    all_.waiting_.insert(this);
    while (all_.bytes_ > all_.bytes_max_) {
        // Pinned shares alone may exceed the limit; then this one is the last that waits.
        Share& longest = **all_.waiting_.begin();
        longest.release();
        if (all_.broken_) all_.broken_();
        if (&longest == this) return false;
        longest.break_off_();
    }
    return true;
}

void Buffers::Share::pin() {
    if (std::exchange(is_waiting_, false)) all_.waiting_.erase(this);
}

void Buffers::Share::release() {
    pin();
    all_.count(*this, 0);
}

void Buffers::count(Share& share, std::size_t bytes) {
    const auto change =
        static_cast<std::ptrdiff_t>(bytes) - static_cast<std::ptrdiff_t>(share.bytes_);
    if (change == 0) return;
    share.bytes_ = bytes;
    bytes_ += static_cast<std::size_t>(change);
    if (changed_) changed_(static_cast<int>(change));
}

}  // namespace txstream::http::detail
