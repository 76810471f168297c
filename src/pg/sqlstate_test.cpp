#include "pg/sqlstate.hpp"

#include <gtest/gtest.h>

namespace txstream::pg {
namespace {

TEST(SqlstateTest, SaysWhatTheCallerCanDo) {
    EXPECT_EQ(code_of("23505"), Code::conflict);
    EXPECT_EQ(code_of("23503"), Code::invalid_input);
    EXPECT_EQ(code_of("22003"), Code::invalid_input);
    EXPECT_EQ(code_of("28P01"), Code::rejected);
    EXPECT_EQ(code_of("3D000"), Code::not_found);
    EXPECT_EQ(code_of("42P01"), Code::not_found);
    EXPECT_EQ(code_of("42501"), Code::rejected);
    EXPECT_EQ(code_of("53300"), Code::overloaded);
    EXPECT_EQ(code_of("57P03"), Code::unavailable);
    EXPECT_EQ(code_of("XX001"), Code::corrupt);
}

TEST(SqlstateTest, WhatWasRolledBackAndMayWorkNextTimeIsRetryable) {
    for (const auto* state :
         {"40001", "40P01", "55P03", "57014", "57P01", "53300", "25006", "08006"}) {
        EXPECT_TRUE(Error(code_of(state), "").retryable()) << state;
    }
}

TEST(SqlstateTest, AnUnknownEffectIsNeverCalledUnavailable) {
    EXPECT_EQ(code_of("08007"), Code::timed_out);
    EXPECT_EQ(code_of("40003"), Code::timed_out);
}

TEST(SqlstateTest, AnUnlistedStateMeansWhatItsClassMeans) {
    EXPECT_EQ(code_of("22ZZZ"), Code::invalid_input);
    EXPECT_EQ(code_of("53ZZZ"), Code::overloaded);
}

TEST(SqlstateTest, AnUnknownOrBrokenStateIsRejectedAndNotRetried) {
    EXPECT_EQ(code_of("ZZ999"), Code::rejected);
    EXPECT_EQ(code_of(""), Code::rejected);
    EXPECT_EQ(code_of("2"), Code::rejected);
}

}  // namespace
}  // namespace txstream::pg
