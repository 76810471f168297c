#include "runtime/virtual_time.hpp"

#include "runtime/deadline.hpp"
#include "runtime/task_group.hpp"
#include "runtime/timer.hpp"
#include "runtime/wakeup.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <string>

namespace txstream::runtime {
namespace {

using namespace std::chrono_literals;

class VirtualTimeTest : public testing::Test {
protected:
    void run() {
        loop_.restart();
        loop_.poll();
        while (const auto next = time_.next()) {
            time_.advance(*next);
            loop_.restart();
            loop_.poll();
        }
    }
    Task<> wait(Clock::duration duration, char name) {
        Timer timer(loop_.get_executor(), Clock::now() + duration);
        const auto [error] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        log_ += error ? '!' : name;
    }

    VirtualTime time_;
    asio::io_context loop_;
    TaskGroup tasks_{loop_.get_executor()};
    std::string log_;
};

TEST_F(VirtualTimeTest, HoursPassAtOnceAndInTheirOrder) {
    const auto begin = Clock::now();
    const auto wall = WallClock::now();
    EXPECT_EQ(Clock::now(), begin);
    for (const char name : {'c', 'a', 'b'}) tasks_.spawn(wait((name - 'a' + 1) * 1h, name));
    run();
    EXPECT_EQ(log_, "abc");
    EXPECT_EQ(Clock::now() - begin, 3h);
    EXPECT_EQ(WallClock::now() - wall, 3h);
}

TEST_F(VirtualTimeTest, ATimerThatIsCancelledOrSetAgainEndsItsWait) {
    Timer timer(loop_.get_executor(), Timer::time_point::max());
    timer.async_wait([&](auto error) { log_ += error ? '!' : '.'; });
    timer.expires_after(1s);
    timer.async_wait([&](auto error) { log_ += error ? '!' : '.'; });
    run();
    EXPECT_EQ(log_, "!.");
    {
        Timer gone(loop_.get_executor(), Clock::now() + 1s);
        gone.async_wait([&](auto error) { log_ += error ? '!' : '.'; });
    }
    run();
    EXPECT_EQ(log_, "!.!");
    EXPECT_EQ(time_.armed(), 0U);
}

TEST_F(VirtualTimeTest, ATaskThatIsCancelledStopsWaiting) {
    tasks_.spawn(wait(1h, 'a'));
    tasks_.spawn(wait(1s, 'b'));
    loop_.poll();
    time_.advance(Clock::now() + 1s);
    loop_.restart();
    loop_.poll();
    tasks_.cancel();
    run();
    EXPECT_EQ(log_, "b!");
}

TEST_F(VirtualTimeTest, AWakeupIsNotifiedOrReachesItsTime) {
    Wakeup wakeup(loop_.get_executor());
    const auto begin = Clock::now();
    const auto sleep_twice = [&]() -> Task<> {
        co_await wakeup.wait(Clock::now() + 2h);
        log_ += std::to_string((Clock::now() - begin) / 1h);
        co_await wakeup.wait(Clock::now() + 2h);
        log_ += std::to_string((Clock::now() - begin) / 1h);
    };
    const auto notify = [&]() -> Task<> {
        co_await wait(1h, 'n');
        wakeup.notify();
    };
    tasks_.spawn(sleep_twice());
    tasks_.spawn(notify());
    run();
    EXPECT_EQ(log_, "n13");
}

TEST(ClockTest, TimeIsRealWhereNoneIsSimulated) {
    const auto before = std::chrono::steady_clock::now();
    {
        const VirtualTime time;
    }
    EXPECT_GE(Clock::now(), before);
    EXPECT_TRUE(Deadline::in(0s).passed());
}

}  // namespace
}  // namespace txstream::runtime
