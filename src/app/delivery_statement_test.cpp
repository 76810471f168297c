#include "app/delivery_statement.hpp"

#include <gtest/gtest.h>

namespace txstream::app {
namespace {

using namespace std::chrono_literals;
using relay::Blockage;

constexpr auto kAgeMax = 30s;

std::string statement(DeliveryFacts facts) {
    return delivery_statement(facts, kAgeMax);
}

TEST(DeliveryStatementTest, WhenAllIsWellThereIsNone) {
    EXPECT_EQ(statement({}), "");
    EXPECT_EQ(statement({.oldest = 30s}), "");
}

TEST(DeliveryStatementTest, ItNamesTheReasonAndTheAgeWhereThatIsKnown) {
    EXPECT_EQ(
        statement({.is_held_by_breaker = true, .oldest = 42s}),
        "delayed; reason=breaker-open; oldest=PT42S"
    );
    EXPECT_EQ(statement({.blocked = {{Blockage::no_worker, {}}}}), "delayed; reason=no-worker");
    EXPECT_EQ(statement({.oldest = 3661s}), "delayed; reason=backlog; oldest=PT3661S");
}

TEST(DeliveryStatementTest, WhatHoldsUpAllLanesIsNamedBeforeWhatHoldsUpOne) {
    EXPECT_EQ(
        statement(
            {.blocked = {{Blockage::cannot_park, {}}, {Blockage::kafka_unavailable, {}}},
             .oldest = 1s}
        ),
        "delayed; reason=kafka-unavailable; oldest=PT1S"
    );
    EXPECT_EQ(
        statement({.blocked = {{Blockage::topic_refused, {}}}}), "delayed; reason=topic-refused"
    );
}

}  // namespace
}  // namespace txstream::app
