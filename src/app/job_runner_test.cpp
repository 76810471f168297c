#include "app/job_runner.hpp"

#include <gtest/gtest.h>

namespace txstream::app {
namespace {

TEST(StepSizeTest, IsHalvedWhileStepsTakeTooLongAndGrowsAgainAfterwards) {
    StepSize size(1000);
    EXPECT_EQ(size.get(), 1000U);
    size.was_in_time();
    EXPECT_EQ(size.get(), 1000U);
    size.was_too_long();
    EXPECT_EQ(size.get(), 500U);
    for (int i = 0; i < 20; ++i) size.was_too_long();
    EXPECT_EQ(size.get(), StepSize::kMin);
    for (int i = 0; i < 20; ++i) size.was_in_time();
    EXPECT_EQ(size.get(), 1000U);
}

}  // namespace
}  // namespace txstream::app
