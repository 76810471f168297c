#pragma once

#include "relay/pulse.hpp"
#include "relay/slow_topic.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace txstream::relay {

/// What a worker has in hand, for others to look at. Written by its thread, read by any.
struct Load {
    std::atomic<std::uint64_t> events{0};  ///< read and not acknowledged in the table
    std::atomic<std::uint64_t> bytes{0};   ///< of these
    std::atomic<std::uint64_t> aside{0};   ///< of the events, those that are not on the fast path
    std::atomic<std::uint64_t> keys_aside{0};  ///< of these
    /// created_at of the newest event that was read, in microseconds of Unix time; 0: none yet.
    std::atomic<std::int64_t> read_up_to{0};
    /// When the first of its lanes may not be published any more, unless its lease is prolonged;
    /// on the steady clock. 0: it has none.
    std::atomic<Deadline::Clock::rep> publish_until{0};
    Pulse reader;
    Pulse keeper;

    void tell(std::vector<SlowTopic> topics) {
        const std::scoped_lock lock(mutex_);
        slow_topics_ = std::move(topics);
    }
    std::vector<SlowTopic> slow_topics() const {
        const std::scoped_lock lock(mutex_);
        return slow_topics_;
    }

private:
    mutable std::mutex mutex_;
    std::vector<SlowTopic> slow_topics_;  // guarded by mutex_
};

}  // namespace txstream::relay
