#pragma once

#include "runtime/deadline.hpp"

#include <cstddef>
#include <functional>
#include <set>
#include <utility>

namespace txstream::http::detail {

/// Counts what the connections of one server hold for their clients: incomplete bodies and unread
/// responses. Each may hold kEachBytes; the bytes above that are limited for all connections
/// together. Beyond the limit, the connection that has waited longest for its client is closed: a
/// client that sends and reads finishes before one that does neither.
class Buffers {
public:
    using Clock = Deadline::Clock;

    /// What a connection may hold whatever others do: an ordinary order and its answer.
    static constexpr std::size_t kEachBytes = std::size_t{16} * 1024;

    /// One connection. Counted out when it is destroyed.
    class Share {
    public:
        /// `break_off` must only request the end: it is called while another connection runs.
        Share(Buffers& all, std::function<void()> break_off)
            : all_(all), break_off_(std::move(break_off)) {}
        ~Share() { release(); }
        Share(const Share&) = delete;
        Share& operator=(const Share&) = delete;

        /// The connection has waited for its client since `since` and holds `bytes`. False if it
        /// is itself the one to close; then nothing is counted for it.
        bool hold(std::size_t bytes, Clock::time_point since);
        /// The connection does not wait for its client, so closing it would free nothing.
        void pin();
        void release();

    private:
        friend class Buffers;

        Buffers& all_;
        std::function<void()> break_off_;
        std::size_t bytes_ = 0;  ///< above kEachBytes
        Clock::time_point since_{};
        bool is_waiting_ = false;
    };

    Buffers(std::size_t bytes_max, std::function<void(int)> changed, std::function<void()> broken)
        : bytes_max_(bytes_max), changed_(std::move(changed)), broken_(std::move(broken)) {}

    std::size_t bytes() const noexcept { return bytes_; }

private:
    struct LongestFirst {
        bool operator()(const Share* left, const Share* right) const noexcept {
            return left->since_ != right->since_ ? left->since_ < right->since_
                                                 : std::less<>()(left, right);
        }
    };

    void count(Share& share, std::size_t bytes);

    std::size_t bytes_max_;
    std::function<void(int)> changed_;  ///< may be empty, as broken_
    std::function<void()> broken_;
    std::size_t bytes_ = 0;
    std::set<Share*, LongestFirst> waiting_;  ///< those with bytes that may be broken off
};

}  // namespace txstream::http::detail
