#include "relay/worker_pool.hpp"

#include "base/assert.hpp"
#include "runtime/timer.hpp"
#include "telemetry/log.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <mutex>
#include <pthread.h>
#include <utility>

namespace txstream::relay {

namespace {

// How often stop() looks whether the threads have ended.
constexpr std::chrono::milliseconds kLook{5};
// Delivery, reader and keeper have each its own.
constexpr std::uint64_t kSeedsOfWorker = 3;

// The first workers take one lane more when they cannot share evenly.
WorkerOptions part_of(const WorkerPool::Options& options, std::size_t place) {
    auto worker = options.worker;
    worker.number = place;
    worker.seed += place * kSeedsOfWorker;
    const auto part = options.lanes / options.workers;
    worker.limits.lanes_max = place < options.lanes % options.workers ? part + 1 : part;
    worker.delivery.in_flight_bytes_max /= options.workers;
    return worker;
}

}  // namespace

/// One worker with its thread.
struct WorkerPool::Seat {
    std::string owner;
    asio::io_context loop{1};
    std::unique_ptr<Worker> worker;
    std::mutex mutex;
    std::vector<LaneId> lanes;  // guarded by mutex
    Load load;
    std::atomic<bool> is_alive{false};
    std::atomic<bool> expects_lanes{false};
    std::atomic<std::size_t> target{0};
    std::atomic<bool> is_nudged{false};
    std::atomic<bool> has_ended{false};
    std::thread thread;  // last: it uses all of the above

    void own(std::vector<LaneId> owned) {
        const std::scoped_lock lock(mutex);
        lanes = std::move(owned);
    }
    std::vector<LaneId> owned() {
        const std::scoped_lock lock(mutex);
        return lanes;
    }
};

WorkerPool::WorkerPool(Options options, Ports ports, Blockages& blockages, const Metrics& metrics)
    : options_(std::move(options)),
      ports_(std::move(ports)),
      blockages_(blockages),
      metrics_(metrics),
      breaker_(options_.breaker, [this](policy::CircuitBreaker::Transition transition) {
          metrics_.breaker_moved(transition.from, transition.to);
          log::warn(
              "breaker",
              "circuit breaker moved",
              {{"from", policy::to_string(transition.from)},
               {"to", policy::to_string(transition.to)}}
          );
      }) {
    TXS_ASSERT(
        options_.workers > 0 && options_.lanes >= options_.workers, "each worker has a lane to take"
    );
}

WorkerPool::~WorkerPool() {
    TXS_ASSERT(seats_.empty(), "a worker pool is stopped before it is destroyed");
}

void WorkerPool::start() {
    TXS_ASSERT(seats_.empty(), "a worker pool starts once");
    metrics_.worker_pool_size.set(static_cast<double>(options_.workers));
    for (std::size_t i = 0; i < options_.workers; ++i) {
        auto seat = std::make_unique<Seat>();
        auto options = part_of(options_, i);
        options.refusals = &refusals_;
        seat->owner = options_.name + "/" + std::to_string(i + 1);
        seat->worker = std::make_unique<Worker>(
            seat->loop.get_executor(),
            seat->owner,
            ports_,
            breaker_,
            blockages_,
            metrics_,
            std::move(options),
            seat->load,
            [this, place = seat.get()](Keeper::Status status) {
                place->own(std::move(status.lanes));
                place->is_alive = status.is_alive;
                place->expects_lanes = status.expects_lanes;
                place->target = status.target;
                publish_status();
            }
        );
        seats_.push_back(std::move(seat));
    }
    for (auto& seat : seats_)
        seat->thread = std::thread([this, place = seat.get()] { work(*place); });
}

void WorkerPool::work(Seat& seat) {
    // For `top -H` and debuggers; the kernel takes 15 bytes.
    const auto name = "worker" + seat.owner.substr(seat.owner.rfind('/'));
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    {
        runtime::TaskGroup group(seat.loop.get_executor());
        group.spawn(seat.worker->run());
        seat.loop.run();
    }
    // Also of a reader that was cancelled.
    seat.load.reader.end();
    seat.load.keeper.end();
    // On this thread, since librdkafka's reports are bound to it.
    seat.worker.reset();
    seat.own({});
    seat.is_alive = false;
    seat.has_ended = true;
}

Task<> WorkerPool::stop(Deadline deadline) {
    const bool is_second = is_stopping_.exchange(true);
    for (auto& seat : seats_) {
        asio::post(seat->loop, [place = seat.get(), deadline] {
            if (place->worker) place->worker->stop(deadline);
        });
    }
    runtime::Timer timer(co_await asio::this_coro::executor);
    if (is_second) {
        while (!seats_.empty()) {
            timer.expires_after(kLook);
            co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        }
        co_return;
    }
    for (auto& seat : seats_) {
        while (!seat->has_ended) {
            timer.expires_after(kLook);
            co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        }
        seat->thread.join();
    }
    seats_.clear();
    metrics_.lanes_owned.set(0);
    metrics_.lanes_target.set(0);
    metrics_.active_workers.set(0);
}

void WorkerPool::nudge() {
    for (auto& seat : seats_) {
        if (seat->is_nudged.exchange(true)) continue;
        asio::post(seat->loop, [place = seat.get()] {
            place->is_nudged = false;
            if (place->worker) place->worker->nudge();
        });
    }
}

WorkerPool::Status WorkerPool::status() const {
    Status status;
    status.workers = seats_.size();
    status.breaker = breaker_.view();
    for (const auto& seat : seats_) {
        status.lanes += seat->owned().size();
        status.alive += seat->is_alive ? 1 : 0;
        status.events_in_flight += seat->load.events;
        status.bytes_in_flight += seat->load.bytes;
        status.events_aside += seat->load.aside;
        status.keys_aside += seat->load.keys_aside;
        add_slow_topics(status.slow_topics, seat->load.slow_topics());
        if (const auto until = seat->load.publish_until.load(); until != 0) {
            const Deadline::Clock::time_point time{Deadline::Clock::duration(until)};
            status.publish_until = std::min(status.publish_until.value_or(time), time);
        }
        status.due = earlier(status.due, earlier(seat->load.reader.due(), seat->load.keeper.due()));
        const auto up_to = seat->owned().empty() ? 0 : seat->load.read_up_to.load();
        if (up_to > 0 && (status.read_up_to == 0 || up_to < status.read_up_to))
            status.read_up_to = up_to;
    }
    return status;
}

std::vector<LaneId> WorkerPool::lanes() const {
    std::vector<LaneId> all;
    for (const auto& seat : seats_) {
        const auto owned = seat->owned();
        all.insert(all.end(), owned.begin(), owned.end());
    }
    return all;
}

void WorkerPool::publish_status() {
    std::size_t lanes = 0;
    std::size_t active = 0;
    std::size_t alive = 0;
    std::size_t target = 0;
    bool expects_lanes = false;
    for (const auto& seat : seats_) {
        expects_lanes = expects_lanes || seat->expects_lanes;
        target += seat->target;
        const auto owned = seat->owned().size();
        lanes += owned;
        active += owned > 0 ? 1 : 0;
        alive += seat->is_alive ? 1 : 0;
    }
    if (lanes_.exchange(lanes) != lanes && ports_.lanes_changed) ports_.lanes_changed();
    metrics_.lanes_owned.set(static_cast<double>(lanes));
    metrics_.lanes_target.set(static_cast<double>(target));
    metrics_.active_workers.set(static_cast<double>(active));
    const bool is_standing_by =
        lanes == 0 && alive == seats_.size() && !expects_lanes && !is_stopping_;
    if (is_standing_by_.exchange(is_standing_by) != is_standing_by && is_standing_by)
        log::info("relay", "standing by: other relays hold all lanes");
}

}  // namespace txstream::relay
