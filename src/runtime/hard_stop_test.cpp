#include "runtime/hard_stop.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <future>

namespace txstream::runtime {
namespace {

using namespace std::chrono_literals;

TEST(HardStopDeathTest, ACallThatNeverReturnsDoesNotOutliveTheLimit) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(
        {
            const HardStop stop(Deadline::Clock::now() + 50ms, 7, [] {
                (void)std::fputs("not in time\n", stderr);
            });
            std::promise<void>().get_future().wait_for(60s);
        },
        testing::ExitedWithCode(7),
        "not in time"
    );
}

TEST(HardStopTest, NothingHappensToAProcessThatIsDoneBefore) {
    bool is_called = false;
    {
        const HardStop stop(Deadline::Clock::now() + 1h, 7, [&] { is_called = true; });
    }
    EXPECT_FALSE(is_called);
}

}  // namespace
}  // namespace txstream::runtime
