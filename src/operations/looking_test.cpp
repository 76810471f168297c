#include "operations/looking.hpp"

#include "runtime/task_group.hpp"
#include "runtime/virtual_time.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <vector>

namespace txstream::operations {
namespace {

using namespace std::chrono_literals;
using Clock = Deadline::Clock;

/// Looks that see 1, 2, 3 ..., in virtual time.
class LookingTest : public testing::Test {
protected:
    /// Looks until `wanted` is seen, for so long at most.
    Result<int> look(int wanted, Clock::duration time) {
        const auto begun = Clock::now();
        const Deadline deadline(begun + time);
        Looking<int> looking{
            .look = [this, begun]() -> Task<Result<int>> {
                at_.push_back(Clock::now() - begun);
                const int seen = static_cast<int>(at_.size());
                runtime::Timer timer(loop_.get_executor(), Clock::now() + takes_);
                co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
                if (seen == fails_at_) co_return tl::unexpected<Error>(failure_);
                co_return seen;
            },
            .is_done = [wanted](const int& seen) { return seen >= wanted; },
            .on_look = [this](const int& seen) { told_.push_back(seen); }
        };
        Result<int> result = 0;
        const auto run = [&]() -> Task<> {
            result = co_await look_until<int>(std::move(looking), deadline);
        };
        tasks_.spawn(run());
        loop_.restart();
        loop_.poll();
        while (const auto next = time_.next()) {
            time_.advance(*next);
            loop_.restart();
            loop_.poll();
        }
        return result;
    }

    runtime::VirtualTime time_;
    asio::io_context loop_;
    runtime::TaskGroup tasks_{loop_.get_executor()};
    std::vector<Clock::duration> at_;
    std::vector<int> told_;
    Clock::duration takes_{};
    int fails_at_ = 0;
    Error failure_{Code::unavailable, "cut off", "57014"};
};

TEST_F(LookingTest, ItEndsWithTheLookThatSeesTheEnd) {
    EXPECT_EQ(look(3, 1h).value(), 3);
    EXPECT_EQ(at_, (std::vector<Clock::duration>{0ms, 500ms, 1s}));
    EXPECT_EQ(told_, (std::vector{1, 2, 3}));
}

TEST_F(LookingTest, WhenTheTimeIsUpTheLastLookIsKept) {
    EXPECT_EQ(look(100, 1200ms).value(), 3);
    EXPECT_EQ(at_, (std::vector<Clock::duration>{0ms, 500ms, 1s})) << "the last one before the end";
    EXPECT_EQ(look(100, 0ms).value(), 4) << "at least one";
}

TEST_F(LookingTest, ALookThatTheDeadlineCutsOffIsNone) {
    fails_at_ = 3;
    EXPECT_EQ(look(100, 1200ms).value(), 2);
    EXPECT_EQ(told_, (std::vector{1, 2}));
}

TEST_F(LookingTest, AnyOtherFailureIsOne) {
    fails_at_ = 3;
    EXPECT_FALSE(look(100, 1min)) << "the server ended it, and not for our deadline";
    fails_at_ = 5;
    failure_ = Error(Code::unavailable, "the connection is gone", "08006");
    EXPECT_FALSE(look(100, 900ms));
    fails_at_ = 6;
    failure_ = Error(Code::timed_out, "cut off");
    EXPECT_FALSE(look(100, 900ms)) << "it has seen nothing yet";
}

TEST_F(LookingTest, AfterALongLookTheServerIsLeftAloneForTwiceAsLong) {
    takes_ = 2s;
    EXPECT_EQ(look(2, 1h).value(), 2);
    EXPECT_EQ(at_, (std::vector<Clock::duration>{0ms, 6s}));
}

}  // namespace
}  // namespace txstream::operations
