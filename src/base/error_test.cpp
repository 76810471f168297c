#include "base/error.hpp"

#include "base/assert.hpp"

#include <gtest/gtest.h>

namespace txstream {
namespace {

Result<int> half(int n) {
    if (n % 2 != 0) return fail(Code::invalid_input, "odd");
    return n / 2;
}

Result<int> quarter(int n) {
    TXS_TRY(int once, half(n));
    TXS_TRY(int twice, half(once));
    return twice;
}

TEST(ResultTest, TryBindsTheValueOrReturnsTheError) {
    EXPECT_EQ(quarter(8).value(), 2);
    EXPECT_EQ(quarter(6).error().code(), Code::invalid_input);
}

TEST(ErrorTest, OnlyFailuresThatMayPassAreRetryable) {
    for (auto code : {Code::unavailable, Code::timed_out, Code::overloaded}) {
        EXPECT_TRUE(Error(code, "x").retryable()) << to_string(code);
    }
    for (auto code :
         {Code::invalid_input,
          Code::not_found,
          Code::conflict,
          Code::rejected,
          Code::corrupt,
          Code::cancelled}) {
        EXPECT_FALSE(Error(code, "x").retryable()) << to_string(code);
    }
}

TEST(ErrorTest, ContextIsPutInFrontAndTheOriginStays) {
    auto error = Error(Code::conflict, "exists", "23505").while_doing("insert order");
    EXPECT_EQ(error.what(), "insert order: exists");
    EXPECT_EQ(error.origin(), "23505");
}

TEST(AssertDeathTest, ABrokenInvariantEndsTheProcessAndSaysWhy) {
    EXPECT_DEATH(TXS_ASSERT(1 == 2, "numbers changed"), "numbers changed");
}

}  // namespace
}  // namespace txstream
