#include "console/tail_queue.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>
#include <set>

namespace txstream::console {
namespace {

using Item = TailQueue::Item;

std::shared_ptr<const std::string> text(std::size_t size = 1) {
    return std::make_shared<const std::string>(size, 'x');
}

TEST(TailQueueTest, WhatDoesNotFitIsCountedAndNamedByAGapInItsPlace) {
    int wakes = 0;
    TailQueue queue({{0, 0}}, [&] { ++wakes; });
    for (std::int64_t offset = 0; offset < 1500; ++offset) queue.matched(0, offset, text());
    Positions positions{{0, 0}};
    auto items = queue.drain(1'000'000, positions);
    ASSERT_EQ(items.size(), TailQueue::kRecordsMax + 1);
    EXPECT_EQ(items.back().kind, Item::Kind::gap);
    EXPECT_EQ(items.back().from, 1000);
    EXPECT_EQ(items.back().to, 1500);
    EXPECT_EQ(items.back().reason, "skipped");
    EXPECT_EQ(positions[0], 1500);
    EXPECT_EQ(queue.progress().received, 1500U);
    EXPECT_EQ(queue.progress().skipped, 500U);
    EXPECT_EQ(wakes, 1);
    queue.matched(0, 1500, text());
    EXPECT_EQ(wakes, 2);
}

TEST(TailQueueTest, BytesAreBoundedAndARecordLargerThanAllIsShownAlone) {
    TailQueue queue({{0, 0}}, [] {});
    queue.matched(0, 0, text(2 * TailQueue::kBytesMax));
    queue.matched(0, 1, text());
    Positions positions{{0, 0}};
    auto items = queue.drain(1, positions);
    ASSERT_EQ(items.size(), 2U);
    EXPECT_EQ(items[0].kind, Item::Kind::record);
    EXPECT_EQ(items[1].kind, Item::Kind::gap);
    for (std::int64_t offset = 2; offset < 12; ++offset)
        queue.matched(0, offset, text(TailQueue::kBytesMax / 4));
    items = queue.drain(100 * TailQueue::kBytesMax, positions);
    EXPECT_EQ(items.size(), 5U);
}

TEST(TailQueueTest, EveryOffsetThatMatchesIsShownOnceOrInOneGapAndNoneIsPassedUnseen) {
    const char* fixed = std::getenv("TXS_TEST_SEED");
    const auto seed = fixed != nullptr ? std::strtoull(fixed, nullptr, 10) : std::random_device{}();
    SCOPED_TRACE("TXS_TEST_SEED=" + std::to_string(seed));
    std::mt19937_64 engine(seed);
    const auto below = [&](std::int64_t limit) {
        return std::uniform_int_distribution<std::int64_t>(0, limit - 1)(engine);
    };
    for (int round = 0; round < 60; ++round) {
        const Positions begin{{0, below(5)}, {1, 7}, {3, 0}};
        TailQueue queue(begin, [] {});
        Positions next{{0, 0}, {1, 0}, {2, 0}, {3, 0}};
        Positions positions = begin;
        std::set<std::pair<std::int32_t, std::int64_t>> owed;
        std::uint64_t named = 0;
        const auto drain = [&] {
            for (const auto& item :
                 queue.drain(static_cast<std::size_t>(1 + below(400)), positions)) {
                if (item.kind == Item::Kind::record) {
                    EXPECT_EQ(owed.erase({item.partition, item.from}), 1U);
                    continue;
                }
                for (auto offset = item.from; offset < item.to; ++offset)
                    named += owed.erase({item.partition, offset});
            }
            // What lies before the position is never owed: a client that goes on there misses
            // nothing.
            for (const auto& [partition, offset] : owed) EXPECT_GE(offset, positions[partition]);
        };
        for (int i = 0; i < 4000; ++i) {
            const auto partition = static_cast<std::int32_t>(below(4));
            const auto offset = next[partition]++;
            if (queue.wants(partition, offset)) {
                if (below(3) > 0) {
                    owed.emplace(partition, offset);
                    queue.matched(partition, offset, text(static_cast<std::size_t>(1 + below(3))));
                } else {
                    queue.passed(partition, offset + 1, 1);
                }
            } else {
                EXPECT_TRUE(!begin.contains(partition) || offset < begin.at(partition));
            }
            if (below(20) == 0) queue.passed(partition, ++next[partition], 0);
            if (below(round % 2 == 0 ? 1500 : 50) == 0) drain();
        }
        while (!owed.empty() && !testing::Test::HasFailure()) drain();
        drain();
        EXPECT_EQ(queue.progress().skipped, named);
        for (const auto& [partition, position] : positions) EXPECT_EQ(position, next[partition]);
    }
}

TEST(TailQueueTest, PositionsAreReadAsTheyAreWritten) {
    const Positions positions{{0, 5}, {12, 9'223'372'036'854'775'807}};
    EXPECT_EQ(to_text(positions), "0:5,12:9223372036854775807");
    EXPECT_EQ(parse_positions(to_text(positions)), positions);
    for (const auto* bad :
         {"", "0", "0:", ":1", "0:1,", "0:1;1:2", "-1:2", "0:-1", "0:x", "0:99999999999999999999"})
        EXPECT_FALSE(parse_positions(bad)) << bad;
}

}  // namespace
}  // namespace txstream::console
