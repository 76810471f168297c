#include "outbox/backlog.hpp"

#include <gtest/gtest.h>

namespace txstream::outbox {
namespace {

TEST(EstimatedPendingTest, ARangeOfIdsHoldsAsManyAsTheNext) {
    EXPECT_EQ(estimated_pending(100, 1, 1000, 10'000), 1000U);
    EXPECT_EQ(estimated_pending(50, 1001, 1100, 2000), 500U);
}

TEST(EstimatedPendingTest, WhatSaysNothingOfTheRestIsTheCount) {
    EXPECT_EQ(estimated_pending(100, 7, 7, 1000), 100U) << "one id";
    EXPECT_EQ(estimated_pending(100, 1, 1000, 1000), 100U) << "nothing behind";
    EXPECT_EQ(estimated_pending(100, 1, 1000, 5), 100U) << "a sequence that was set back";
    EXPECT_EQ(estimated_pending(0, 0, 0, 0), 0U);
}

}  // namespace
}  // namespace txstream::outbox
