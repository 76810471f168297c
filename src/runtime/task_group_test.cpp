#include "runtime/task_group.hpp"

#include "runtime/deadline.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace txstream::runtime {
namespace {

Task<> forever() {
    asio::steady_timer timer(
        co_await asio::this_coro::executor, asio::steady_timer::time_point::max()
    );
    co_await timer.async_wait(asio::use_awaitable);
}

Task<Result<>> fails(Code code) {
    co_return fail(code, "as told");
}

Task<> throws(std::string what) {
    throw std::runtime_error(what);
    co_return;
}

Task<> adds_one(int& count) {
    ++count;
    co_return;
}

Task<> joins(TaskGroup& group, std::optional<Result<>>& result) {
    result = co_await group.join();
}

/// The outer group has one child, which joins `group`.
Result<> join(asio::io_context& loop, TaskGroup& group) {
    TaskGroup outer(loop.get_executor());
    std::optional<Result<>> result;
    outer.spawn(joins(group, result));
    loop.restart();
    loop.run();
    EXPECT_TRUE(result.has_value()) << "join() did not return";
    return result.value_or(fail(Code::timed_out, "join did not return"));
}

TEST(TaskGroupTest, JoiningAnEmptyGroupReturnsAtOnce) {
    asio::io_context loop;
    TaskGroup group(loop.get_executor());
    EXPECT_TRUE(join(loop, group));
}

TEST(TaskGroupTest, AChildNeverRunsInsideSpawn) {
    asio::io_context loop;
    TaskGroup group(loop.get_executor());
    int count = 0;
    group.spawn(adds_one(count));
    EXPECT_EQ(count, 0);
    EXPECT_EQ(group.size(), 1u);
    EXPECT_TRUE(join(loop, group));
    EXPECT_EQ(count, 1);
    EXPECT_EQ(group.size(), 0u);
}

TEST(TaskGroupTest, CancelEndsChildrenThatWaitForever) {
    asio::io_context loop;
    TaskGroup group(loop.get_executor());
    for (int i = 0; i < 100; ++i) group.spawn(forever());
    loop.poll();
    EXPECT_EQ(group.size(), 100u);
    group.cancel();
    group.cancel();
    EXPECT_TRUE(join(loop, group));
}

TEST(TaskGroupTest, AChildOfACancelledGroupStartsCancelled) {
    asio::io_context loop;
    TaskGroup group(loop.get_executor());
    group.cancel();
    group.spawn(forever());
    EXPECT_TRUE(join(loop, group));
}

TEST(TaskGroupTest, AChildThatIsCancelledBeforeItsFirstStepEndsLikeEveryOther) {
    asio::io_context loop;
    TaskGroup group(loop.get_executor());
    int count = 0;
    asio::post(loop, [&] {
        group.spawn(adds_one(count));
        group.spawn(forever());
        group.cancel();
    });
    loop.run();
    EXPECT_EQ(group.size(), 0u);
    EXPECT_TRUE(join(loop, group));
}

TEST(TaskGroupTest, TheFirstErrorIsReportedAndTheOthersAreCancelled) {
    asio::io_context loop;
    TaskGroup group(loop.get_executor());
    group.spawn(forever());
    group.spawn(fails(Code::not_found));
    group.spawn(fails(Code::conflict));
    const auto result = join(loop, group);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), Code::not_found);
}

TEST(TaskGroupTest, BeingCancelledIsNoError) {
    asio::io_context loop;
    TaskGroup group(loop.get_executor());
    group.spawn(fails(Code::cancelled));
    EXPECT_TRUE(join(loop, group));
    EXPECT_FALSE(group.cancelled());
}

TEST(TaskGroupTest, AnExceptionIsReportedAndTheOthersGoOn) {
    asio::io_context loop;
    std::vector<std::string> seen;
    TaskGroup group(loop.get_executor(), [&](std::string_view what) { seen.emplace_back(what); });
    int count = 0;
    group.spawn(throws("out of luck"));
    group.spawn(adds_one(count));
    EXPECT_TRUE(join(loop, group));
    EXPECT_EQ(seen, std::vector<std::string>{"out of luck"});
    EXPECT_EQ(count, 1);
}

TEST(TaskGroupDeathTest, AnExceptionNobodyAskedForEndsTheProcess) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(
        {
            asio::io_context loop;
            TaskGroup group(loop.get_executor());
            group.spawn(throws("out of luck"));
            loop.run();
        },
        "out of luck"
    );
}

TEST(TaskGroupDeathTest, AGroupThatIsDestroyedBeforeItsChildrenEndsTheProcess) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(
        {
            asio::io_context loop;
            TaskGroup group(loop.get_executor());
            group.spawn(forever());
        },
        "joined before"
    );
}

// Aim: whoever joins may itself be cancelled meanwhile, and still must not return early.
TEST(TaskGroupTest, JoinIsNotCutShortByTheCancellationOfTheOneWhoWaits) {
    asio::io_context loop;
    TaskGroup inner(loop.get_executor());
    TaskGroup outer(loop.get_executor());
    inner.spawn(forever());
    std::optional<Result<>> result;
    outer.spawn(joins(inner, result));
    loop.poll();
    outer.cancel();
    loop.poll();
    EXPECT_FALSE(result.has_value());
    EXPECT_EQ(outer.size(), 1u);
    inner.cancel();
    loop.poll();
    EXPECT_EQ(inner.size(), 0u);
    EXPECT_EQ(outer.size(), 0u);
}

TEST(DeadlineTest, TheSoonerOfTwoIsKept) {
    const Deadline::Clock::time_point start{};
    const Deadline early(start);
    const Deadline late(start + std::chrono::seconds(1));
    EXPECT_EQ(early.sooner(late).at(), start);
    EXPECT_EQ(late.sooner(early).at(), start);
    EXPECT_TRUE(early.passed());
}

}  // namespace
}  // namespace txstream::runtime
