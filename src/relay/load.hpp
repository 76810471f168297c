#pragma once

#include <atomic>
#include <cstdint>

namespace txstream::relay {

/// What a worker has in hand, for others to look at. Written by its thread, read by any.
struct Load {
    std::atomic<std::uint64_t> events{0};  ///< read and not acknowledged in the table
    std::atomic<std::uint64_t> bytes{0};   ///< of these
    std::atomic<std::uint64_t> aside{0};   ///< of the events, those that are not on the fast path
    std::atomic<std::uint64_t> careful_topics{0};  ///< that are not on the fast path
    /// created_at of the newest event that was read, in microseconds of Unix time; 0: none yet.
    std::atomic<std::int64_t> read_up_to{0};
};

}  // namespace txstream::relay
