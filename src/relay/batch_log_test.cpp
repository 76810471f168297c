#include "relay/batch_log.hpp"

#include <gtest/gtest.h>

namespace txstream::relay {
namespace {

using namespace std::chrono_literals;

TEST(BatchLogTest, ABatchAfterAQuietTimeIsALineAndManyAreOneInTenSeconds) {
    BatchLog log;
    const BatchLog::Time start{1h};
    auto line = log.add(7, start);
    ASSERT_TRUE(line);
    EXPECT_EQ(line->events, 7);
    EXPECT_EQ(line->within, 0ms);
    int lines = 0;
    for (auto at = start + 10ms; at < start + 10s; at += 10ms) lines += log.add(100, at) ? 1 : 0;
    EXPECT_EQ(lines, 0);
    line = log.due(start + 10s);
    ASSERT_TRUE(line);
    EXPECT_EQ(line->events, 99'900);
    EXPECT_EQ(line->batches, 999U);
    EXPECT_EQ(line->within, 10s);
    EXPECT_FALSE(log.due(start + 20s)) << "nothing since";
    EXPECT_TRUE(log.add(1, start + 21s)) << "it was quiet";
}

TEST(BatchLogTest, WhatIsNotToldWhenTheWorkerEndsIsTheRest) {
    BatchLog log;
    const BatchLog::Time start{1h};
    (void)log.add(1, start);
    EXPECT_FALSE(log.rest(start + 1s));
    (void)log.add(1, start + 1s);
    (void)log.add(2, start + 2s);
    const auto line = log.rest(start + 3s);
    ASSERT_TRUE(line);
    EXPECT_EQ(line->events, 2);
}

}  // namespace
}  // namespace txstream::relay
