#include "relay/fake_kafka.hpp"
#include "relay/fake_outbox.hpp"
#include "relay/virtual_loop.hpp"
#include "relay/worker.hpp"

#include <gtest/gtest.h>

namespace txstream::relay {
namespace {

using namespace std::chrono_literals;
using Clock = Deadline::Clock;

class WorkerEndTest : public testing::Test {
protected:
    WorkerEndTest() { silence_log(); }

    /// A worker with one lane, whose events are `events`.
    void start(std::vector<tests::FakeEvent> events, bool is_silent) {
        Ports ports;
        ports.source = [=, this](auto) {
            auto source = std::make_unique<FakeSource>();
            source->window = events;
            source->is_silent = is_silent;
            source->on_poll = [this] { ++polls_; };
            if (!events.empty()) source->now = snapshot(20);
            return source;
        };
        ports.keeper = [this](auto, auto) {
            auto lanes = std::make_unique<FakeLanes>();
            lanes->on_release = [this] { sent_at_release_ = kafka_.sent.size(); };
            return lanes;
        };
        ports.publisher = kafka_.maker();
        WorkerOptions options;
        options.topic = "t";
        options.limits.statement_timeout = 1h;
        options.limits.lease = 3h;
        worker_ = std::make_unique<Worker>(
            loop_.executor(),
            "w",
            ports,
            breaker_,
            blockages_,
            metrics_,
            options,
            load_,
            [](auto) {}
        );
        tasks_.spawn(worker_->run());
    }
    template <class Condition>
    bool until(Condition condition) {
        return loop_.until(condition);
    }
    bool ends() {
        return until([&] { return tasks_.size() == 0; });
    }

    VirtualLoop loop_;
    FakeKafka kafka_;
    telemetry::Registry registry_;
    Metrics metrics_{registry_};
    Load load_;
    SharedBreaker breaker_{
        {.failure_threshold = 1, .success_threshold = 1, .reset_timeout = 0ms}, nullptr
    };
    Blockages blockages_{nullptr};
    std::unique_ptr<Worker> worker_;
    int polls_ = 0;
    std::optional<std::size_t> sent_at_release_;
    runtime::TaskGroup tasks_{loop_.executor()};
};

TEST_F(WorkerEndTest, NoStatementOfTheReaderHoldsUpTheEnd) {
    start({}, true);
    ASSERT_TRUE(until([&] { return polls_ == 1; }));
    worker_->stop(Deadline::in(1h));
    EXPECT_TRUE(ends()) << "the statement has an hour, and nobody needs its answer";
}

TEST_F(WorkerEndTest, TheLanesAreGivenBackWithTheLastAcknowledgement) {
    start({{.id = 1, .lane = 1}}, false);
    ASSERT_TRUE(until([&] { return !kafka_.sent.empty(); }));
    worker_->stop(Deadline::in(1h));
    kafka_.report(Outcome::acknowledged);
    EXPECT_TRUE(ends()) << "the next renewal is due in an hour";
}

TEST_F(WorkerEndTest, TheProbeOfAWorkerThatEndsIsLeftToOthers) {
    breaker_.failure(Clock::now());
    start({{.id = 1, .lane = 1}}, false);
    ASSERT_TRUE(until([&] { return !kafka_.sent.empty(); }));
    ASSERT_EQ(breaker_.state(), policy::BreakerState::half_open);
    ASSERT_FALSE(breaker_.try_acquire(Clock::now()));
    worker_->stop(Deadline::in(0ms));
    ASSERT_TRUE(ends());
    EXPECT_TRUE(breaker_.try_acquire(Clock::now()));
}

TEST_F(WorkerEndTest, NothingIsQueuedAnyMoreWhenTheLanesAreGivenBack) {
    start({{.id = 1, .lane = 1}}, false);
    ASSERT_TRUE(until([&] { return !kafka_.sent.empty(); }));
    worker_->stop(Deadline::in(0ms));
    ASSERT_TRUE(ends());
    EXPECT_EQ(sent_at_release_, 0U);
}

}  // namespace
}  // namespace txstream::relay
