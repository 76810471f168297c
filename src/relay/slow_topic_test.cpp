#include "relay/slow_topic.hpp"

#include <gtest/gtest.h>

namespace txstream::relay {
namespace {

using namespace std::chrono_literals;

TEST(SlowTopicTest, OfSeveralWorkersTheWorstCountsAndWhatWaitsIsAddedUp) {
    const auto now = Deadline::Clock::now();
    std::vector<SlowTopic> all;
    add_slow_topics(all, {{"b", false, "INVALID_RECORD", now, now + 5min, 1, 1}});
    add_slow_topics(
        all,
        {{"a", true, "_UNKNOWN_TOPIC", now + 2s, now + 2min, 20, 2, now + 9s},
         {"b", false, "INVALID_RECORD", now + 1s, now + 6min, 2, 2}}
    );
    add_slow_topics(
        all,
        {{"a", false, "INVALID_RECORD", now, now + 5min, 0, 0},
         {"b", true, "_UNKNOWN_TOPIC", now + 3s, std::nullopt, 3, 3, now + 8s}}
    );
    add_slow_topics(all, {{"b", true, "_UNKNOWN_TOPIC", now + 4s, std::nullopt, 0, 0, now + 7s}});
    const std::vector<SlowTopic> expected{
        {"a", true, "_UNKNOWN_TOPIC", now + 2s, now + 2min, 20, 2, now + 9s},
        {"b", true, "_UNKNOWN_TOPIC", now + 3s, std::nullopt, 6, 6, now + 7s}
    };
    EXPECT_EQ(all, expected);
}

}  // namespace
}  // namespace txstream::relay
