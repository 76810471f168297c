#pragma once

#include "runtime/clock.hpp"

#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

namespace txstream::runtime {

/// Time for a simulation: it stands still until advance(), and every Timer that was made while it
/// is installed waits by it. Whoever simulates runs what is ready (io_context::poll) and then
/// advances to the next point in time that something waits for, so nothing really waits, and a
/// schedule depends on nothing but its seed.
///
/// Belongs to the thread that made it, on which Clock and WallClock follow it while it lives. It
/// outlives its Timers.
class VirtualTime {
public:
    /// One async_wait() of a Timer.
    class Wait {
    public:
        virtual ~Wait() = default;
        /// Hands the handler to its executor; never runs it here.
        virtual void end(boost::system::error_code error) = 0;
    };
    /// In the order in which they end.
    using Ticket = std::pair<Clock::time_point, std::uint64_t>;

    VirtualTime();
    ~VirtualTime();
    VirtualTime(const VirtualTime&) = delete;
    VirtualTime& operator=(const VirtualTime&) = delete;

    static VirtualTime* installed() noexcept;

    Clock::time_point now() const noexcept { return now_; }
    WallClock::time_point wall_now() const;

    Ticket arm(Clock::time_point at, std::unique_ptr<Wait> wait);
    /// Nothing when the wait is over.
    void cancel(Ticket ticket);
    bool is_armed(Ticket ticket) const { return waits_.contains(ticket); }
    std::size_t armed() const noexcept { return waits_.size(); }
    /// The earliest that something waits for; nothing when all wait without an end.
    std::optional<Clock::time_point> next() const;
    /// Ends all waits up to `at`, in their order.
    void advance(Clock::time_point at);

private:
    Clock::time_point now_;
    std::uint64_t count_ = 0;
    std::map<Ticket, std::unique_ptr<Wait>> waits_;
};

}  // namespace txstream::runtime
