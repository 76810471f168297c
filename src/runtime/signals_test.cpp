#include "runtime/signals.hpp"

#include "runtime/task_group.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <csignal>

namespace txstream::runtime {
namespace {

Task<> takes_one(StopSignals& signals, int& number) {
    number = co_await signals.next();
}

TEST(StopSignalsTest, ASignalThatCameBeforeTheWaitIsNotLost) {
    asio::io_context loop;
    StopSignals signals(loop.get_executor());
    ASSERT_EQ(std::raise(SIGTERM), 0);
    TaskGroup group(loop.get_executor());
    int number = -1;
    group.spawn(takes_one(signals, number));
    while (group.size() > 0) loop.run_one();
    EXPECT_EQ(number, SIGTERM);
}

TEST(StopSignalsTest, CancelEndsTheWaitWithZero) {
    asio::io_context loop;
    StopSignals signals(loop.get_executor());
    TaskGroup group(loop.get_executor());
    int number = -1;
    group.spawn(takes_one(signals, number));
    loop.poll();
    signals.cancel();
    while (group.size() > 0) loop.run_one();
    EXPECT_EQ(number, 0);
}

}  // namespace
}  // namespace txstream::runtime
