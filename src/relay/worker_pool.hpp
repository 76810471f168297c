#pragma once

#include "relay/worker.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace txstream::relay {

/// The workers of a relay process, each on a thread of its own. They share the circuit breaker and
/// nothing else; which of them publishes a lane is settled in the table of lanes, as it is between
/// processes.
///
/// Belongs to one thread; its workers have their own.
class WorkerPool {
public:
    struct Options {
        std::size_t workers = 1;
        std::size_t lanes = 32;  ///< of the outbox; each worker takes its part, rounded up
        std::string name;        ///< of the process; unique among those that live
        policy::CircuitBreaker::Limits breaker;
        WorkerOptions worker;
    };
    struct Status {
        std::size_t workers = 0;
        std::size_t alive = 0;  ///< can reach the database and hold their leases
        std::size_t lanes = 0;
        SharedBreaker::View breaker;
        std::uint64_t events_in_flight = 0;  ///< read and not acknowledged in the table
        std::uint64_t bytes_in_flight = 0;
        std::uint64_t events_aside = 0;  ///< of those in flight, not on the fast path
        std::uint64_t keys_aside = 0;    ///< of these
        std::vector<SlowTopic> slow_topics;
        /// When the first of the leases is too old to publish; nothing: there is no lane.
        std::optional<Deadline::Clock::time_point> publish_until;
        /// Each worker has read up to its newest event; the oldest of these, in microseconds of
        /// Unix time. 0: nothing was read yet.
        std::int64_t read_up_to = 0;
        /// When the first of the workers' loops will be back (Pulse); nothing: nothing is due.
        std::optional<Deadline::Clock::time_point> due;
    };

    WorkerPool(Options options, Ports ports, Blockages& blockages, const Metrics& metrics);
    /// Asserts that it was stopped.
    ~WorkerPool();
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;

    void start();
    /// Drains all workers at the same time; returns when all threads have ended, soon after the
    /// deadline at the latest. May be called twice, also while the first call waits, and without
    /// start().
    Task<> stop(Deadline deadline);

    /// An event was committed in this process: polls now. Cheap; calls that come while one is on
    /// its way are one.
    void nudge();
    Status status() const;
    /// Of all its workers, in no order.
    std::vector<LaneId> lanes() const;

private:
    struct Seat;

    void work(Seat& seat);
    void publish_status();

    Options options_;
    Ports ports_;
    Blockages& blockages_;
    const Metrics& metrics_;
    SharedBreaker breaker_;
    RefusalLog refusals_;
    std::atomic<std::size_t> lanes_{0};  ///< of all workers, as it was last told
    std::atomic<bool> is_standing_by_{false};
    std::atomic<bool> is_stopping_{false};
    std::vector<std::unique_ptr<Seat>> seats_;
};

}  // namespace txstream::relay
