#include "runtime/offload.hpp"

#include "runtime/task_group.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace txstream::runtime {
namespace {

using namespace std::chrono_literals;

class OffloadTest : public ::testing::Test {
protected:
    void run(std::function<Task<>()> body) {
        TaskGroup tasks(loop.get_executor());
        tasks.spawn(body());
        loop.run();
    }
    asio::io_context loop;
};

TEST_F(OffloadTest, WorkRunsElsewhereAndItsResultComesBack) {
    Offload offload(loop.get_executor(), {});
    run([&]() -> Task<> {
        const auto here = std::this_thread::get_id();
        const auto there = co_await offload.run(
            [] { return Result<std::thread::id>(std::this_thread::get_id()); }, Deadline::in(10s)
        );
        EXPECT_TRUE(there.has_value());
        EXPECT_NE(*there, here);
        EXPECT_EQ(std::this_thread::get_id(), here);
    });
}

TEST_F(OffloadTest, TheCallerStopsWaitingAtItsDeadline) {
    std::promise<void> release;
    Offload offload(loop.get_executor(), {.threads = 1});
    run([&]() -> Task<> {
        auto wait = [future = release.get_future().share()]() -> Result<int> {
            future.wait();
            return 1;
        };
        const auto answer = co_await offload.run(std::move(wait), Deadline::in(1ms));
        EXPECT_FALSE(answer.has_value());
        EXPECT_EQ(answer.error().code(), Code::timed_out);
        release.set_value();
    });
}

TEST_F(OffloadTest, MoreThanMayWaitIsRefused) {
    std::promise<void> release;
    const auto gate = release.get_future().share();
    Offload offload(loop.get_executor(), {.threads = 1, .waiting_max = 1});
    run([&]() -> Task<> {
        TaskGroup callers(loop.get_executor());
        int done = 0;
        const auto call = [&]() -> Task<> {
            const auto answer = co_await offload.run(
                [gate]() -> Result<int> {
                    gate.wait();
                    return 1;
                },
                Deadline::in(10s)
            );
            EXPECT_TRUE(answer.has_value());
            ++done;
        };
        callers.spawn(call());
        callers.spawn(call());
        const auto refused = [&]() -> Task<> {
            const auto answer =
                co_await offload.run([]() -> Result<int> { return 1; }, Deadline::in(10s));
            EXPECT_FALSE(answer.has_value());
            EXPECT_EQ(answer.error().code(), Code::overloaded);
            release.set_value();
        };
        callers.spawn(refused());
        (void)co_await callers.join();
        EXPECT_EQ(done, 2);
    });
}

TEST_F(OffloadTest, TheEndWaitsForTheCallThatRuns) {
    std::atomic<bool> has_ended{false};
    std::promise<void> began;
    {
        Offload offload(loop.get_executor(), {.threads = 1});
        run([&]() -> Task<> {
            auto slow = [&]() -> Result<int> {
                began.set_value();
                std::this_thread::yield();
                has_ended = true;
                return 1;
            };
            (void)co_await offload.run(std::move(slow), Deadline::in(0s));
        });
        began.get_future().wait();
    }
    EXPECT_TRUE(has_ended);
}

}  // namespace
}  // namespace txstream::runtime
