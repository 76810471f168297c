#include "runtime/wakeup.hpp"

#include "base/assert.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace txstream::runtime {

void Wakeup::notify() {
    notified_ = true;
    if (waiting_) timer_.cancel();
}

Task<> Wakeup::wait(Deadline::Clock::time_point until) {
    TXS_ASSERT(!waiting_, "one task waits at a time");
    if (!notified_) {
        waiting_ = true;
        timer_.expires_at(until);
        co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
        waiting_ = false;
    }
    notified_ = false;
}

}  // namespace txstream::runtime
