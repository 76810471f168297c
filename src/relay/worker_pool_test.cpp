#include "relay/worker_pool.hpp"

#include "relay/fake_kafka.hpp"
#include "relay/fake_outbox.hpp"
#include "runtime/task_group.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

namespace txstream::relay {
namespace {

using namespace std::chrono_literals;

class WorkerPoolTest : public testing::Test {
protected:
    WorkerPoolTest() { silence_log(); }
    ~WorkerPoolTest() override {
        loop_.restart();
        runtime::TaskGroup tasks(loop_.get_executor());
        tasks.spawn(pool_->stop(Deadline::in(1s)));
        loop_.run();
    }

    void start(std::size_t workers, std::size_t lanes) {
        Ports ports;
        ports.source = [this](auto) {
            auto source = std::make_unique<FakeSource>();
            source->on_poll = [this] {
                ++polls_;
                while (hangs_) {
                    is_hanging_ = true;
                    std::this_thread::yield();
                }
            };
            return source;
        };
        ports.keeper = [this](auto, std::string owner) {
            auto one = std::make_unique<FakeLanes>();
            one->on_enlist = [this, owner](outbox::Want want) {
                const std::scoped_lock lock(mutex_);
                asked_[owner] = want.lanes;
            };
            return one;
        };
        ports.publisher = [](auto, Path path, PublisherEvents events
                          ) -> Result<std::unique_ptr<Publisher>> {
            static thread_local FakeKafka kafka;
            return std::make_unique<FakePublisher>(kafka, path, std::move(events));
        };
        WorkerPool::Options options;
        options.workers = workers;
        options.lanes = lanes;
        options.name = "p";
        options.worker.topic = "t";
        options.worker.limits.poll_min = 1ms;
        options.worker.limits.poll_max = 1h;
        pool_ = std::make_unique<WorkerPool>(options, ports, blockages_, metrics_);
        pool_->start();
    }
    template <class Condition>
    static bool until(Condition condition) {
        const auto give_up_at = Deadline::in(20s);
        while (!condition() && !give_up_at.passed()) std::this_thread::yield();
        return condition();
    }

    asio::io_context loop_;
    telemetry::Registry registry_;
    Metrics metrics_{registry_};
    std::mutex mutex_;
    std::map<std::string, std::size_t> asked_;  // guarded by mutex_
    std::atomic<int> polls_ = 0;
    std::atomic<bool> hangs_ = false;
    std::atomic<bool> is_hanging_ = false;
    Blockages blockages_{nullptr};
    std::unique_ptr<WorkerPool> pool_;
};

TEST_F(WorkerPoolTest, TheWorkersTakeAllLanesBetweenThemEachItsPart) {
    start(3, 8);
    const std::map<std::string, std::size_t> parts{{"p/1", 3}, {"p/2", 3}, {"p/3", 2}};
    EXPECT_TRUE(until([&] {
        const std::scoped_lock lock(mutex_);
        return asked_ == parts;
    }));
}

// By itself each pause is twice the one before: the twentieth poll is a quarter of an hour away.
TEST_F(WorkerPoolTest, EachNudgeBringsAPoll) {
    start(1, 1);
    ASSERT_TRUE(until([&] { return polls_ > 0; }));
    for (int i = 0; i < 20; ++i) {
        const int before = polls_;
        pool_->nudge();
        ASSERT_TRUE(until([&] { return polls_ > before; })) << i;
    }
}

TEST_F(WorkerPoolTest, AWorkerThatHangsIsNotBackWhenItSaidAndOneThatGoesOnIs) {
    start(2, 2);
    ASSERT_TRUE(until([&] { return polls_ > 0; }));
    hangs_ = true;
    pool_->nudge();
    ASSERT_TRUE(until([&] { return is_hanging_.load(); }));
    // One of them, or both.
    const auto is_late = [&] {
        const auto due = pool_->status().due;
        return due && Deadline::Clock::now() > *due + 100ms;
    };
    EXPECT_TRUE(until(is_late));
    const auto late = pool_->status().due;
    hangs_ = false;
    EXPECT_TRUE(until([&] { return pool_->status().due > late; }));
}

}  // namespace
}  // namespace txstream::relay
