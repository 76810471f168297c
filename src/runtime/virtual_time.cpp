#include "runtime/virtual_time.hpp"

#include "base/assert.hpp"

#include <boost/asio/error.hpp>

#include <algorithm>
#include <utility>

namespace txstream::runtime {

namespace {

// Far from zero, so that subtracting an interval leaves a time; the day is any.
constexpr std::chrono::hours kBegin{24};
constexpr std::chrono::sys_days kFirstDay = std::chrono::year(2030) / 1 / 1;

}  // namespace

namespace detail {

std::chrono::steady_clock::time_point virtual_now() {
    return virtual_time->now();
}

std::chrono::system_clock::time_point virtual_wall_now() {
    return virtual_time->wall_now();
}

}  // namespace detail

VirtualTime::VirtualTime() : now_(kBegin) {
    TXS_ASSERT(detail::virtual_time == nullptr, "a thread has one time");
    detail::virtual_time = this;
}

VirtualTime::~VirtualTime() {
    detail::virtual_time = nullptr;
    // What hangs on a wait may hold a Timer, which comes back here.
    const auto rest = std::exchange(waits_, {});
}

VirtualTime* VirtualTime::installed() noexcept {
    // Only a constructor sets it, from an object that is not const.
    return const_cast<VirtualTime*>(detail::virtual_time);
}

WallClock::time_point VirtualTime::wall_now() const {
    return kFirstDay + (now_.time_since_epoch() - kBegin);
}

VirtualTime::Ticket VirtualTime::arm(Clock::time_point at, std::unique_ptr<Wait> wait) {
    const Ticket ticket(at, ++count_);
    waits_.emplace(ticket, std::move(wait));
    return ticket;
}

void VirtualTime::cancel(Ticket ticket) {
    if (const auto wait = waits_.extract(ticket); !wait.empty())
        wait.mapped()->end(boost::asio::error::operation_aborted);
}

std::optional<Clock::time_point> VirtualTime::next() const {
    if (waits_.empty() || waits_.begin()->first.first == Clock::time_point::max())
        return std::nullopt;
    return waits_.begin()->first.first;
}

void VirtualTime::advance(Clock::time_point at) {
    // What was to end in the past ends now.
    now_ = std::max(now_, at);
    while (!waits_.empty() && waits_.begin()->first.first <= now_)
        waits_.extract(waits_.begin()).mapped()->end({});
}

}  // namespace txstream::runtime
