#include "relay/balance.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace txstream::relay {
namespace {

using outbox::Share;
using outbox::Shares;
using Counts = std::vector<std::size_t>;

constexpr std::size_t kAll = 256;

Shares shares_of(const Counts& counts, std::size_t lanes = 32) {
    Shares shares;
    shares.lanes = lanes;
    for (const auto count : counts)
        shares.owners.push_back(
            {.lease = static_cast<std::int64_t>(shares.owners.size()) + 1,
             .lanes = count,
             .want = {.lanes = kAll}}
        );
    return shares;
}

Balance balance_for(Shares shares, std::size_t who) {
    shares.owners.at(who).is_ours = true;
    return balance_of(shares);
}

/// What becomes of it when all do at once what they decide, until nobody does anything.
Counts settled(Shares shares, int rounds_max = 3) {
    for (int round = 0; round < rounds_max; ++round) {
        auto next = shares;
        auto unowned = shares.unowned();
        bool is_done = true;
        for (std::size_t i = 0; i < shares.owners.size(); ++i) {
            const auto balance = balance_for(shares, i);
            const auto taken = std::min(balance.take, unowned);
            unowned -= taken;
            next.owners[i].lanes += taken;
            next.owners[i].lanes -= balance.heirs.size();
            for (const auto heir : balance.heirs)
                ++next.owners.at(static_cast<std::size_t>(heir) - 1).lanes;
            is_done = is_done && taken == 0 && balance.heirs.empty();
        }
        shares = next;
        if (is_done) break;
        EXPECT_LT(round, rounds_max - 1) << "lanes go on moving";
    }
    Counts counts;
    for (const auto& one : shares.owners) counts.push_back(one.lanes);
    return counts;
}

TEST(BalanceTest, OneThatIsAloneHasAll) {
    EXPECT_EQ(settled(shares_of({0})), Counts({32}));
    EXPECT_EQ(balance_for(shares_of({0}), 0).take, 32U);
}

TEST(BalanceTest, WhoComesGetsItsShareFromThoseThatHaveMore) {
    EXPECT_EQ(settled(shares_of({32, 0})), Counts({16, 16}));
    EXPECT_EQ(settled(shares_of({16, 16, 0})), Counts({11, 11, 10}));
    EXPECT_TRUE(balance_for(shares_of({32, 0}), 1).expects);
    EXPECT_EQ(balance_for(shares_of({32, 0}), 0).heirs, std::vector<std::int64_t>(16, 2));
}

TEST(BalanceTest, WhereAllAreWithinOneLaneNothingMoves) {
    for (const auto& counts :
         {Counts{11, 11, 10}, Counts{10, 11, 11}, Counts{16, 16}, Counts{32}}) {
        const auto shares = shares_of(counts);
        for (std::size_t i = 0; i < counts.size(); ++i) {
            const auto balance = balance_for(shares, i);
            EXPECT_EQ(balance.take, 0U);
            EXPECT_TRUE(balance.heirs.empty());
            EXPECT_FALSE(balance.expects);
        }
    }
}

TEST(BalanceTest, ALaneThatIsOneTooManyGoesToOneThatLacksIt) {
    EXPECT_EQ(settled(shares_of({12, 10, 10})), Counts({11, 11, 10}));
    EXPECT_EQ(settled(shares_of({9, 12, 11})), Counts({10, 11, 11}));
}

TEST(BalanceTest, ANewcomerDoesNotGrabWhatOthersLack) {
    const auto shares = shares_of({0, 0, 0, 0});
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(balance_for(shares, i).take, 8U);
}

TEST(BalanceTest, LanesOfTheDeadGoToThoseThatLive) {
    EXPECT_EQ(settled(shares_of({11, 10})), Counts({16, 16}));
    EXPECT_TRUE(balance_for(shares_of({11, 10}), 0).heirs.empty()) << "there are enough for all";
}

TEST(BalanceTest, WhoWantsFewHasNoMoreAndTheOthersShareTheRest) {
    auto shares = shares_of({32, 0, 0});
    shares.owners[1].want.lanes = 4;
    EXPECT_EQ(settled(shares), Counts({14, 4, 14}));
    shares.owners[0].want.lanes = 5;
    shares.owners[2].want.lanes = 6;
    const auto full = settled(shares);
    EXPECT_EQ(full, Counts({22, 4, 6})) << "none is given up that nobody would have";
    auto few = shares_of({5, 4, 6});
    for (std::size_t i = 0; i < 3; ++i) few.owners[i].want.lanes = few.owners[i].lanes;
    EXPECT_EQ(balance_for(few, 0).unwanted, 17U);
    EXPECT_EQ(balance_for(few, 0).take, 0U);
}

TEST(BalanceTest, WhoEndsHandsOverEverything) {
    auto shares = shares_of({16, 16});
    shares.owners[1].want.lanes = 0;
    EXPECT_EQ(settled(shares), Counts({32, 0}));
    shares.owners[0].want.lanes = 0;
    EXPECT_EQ(settled(shares), Counts({16, 16})) << "there is nobody else";
}

TEST(BalanceTest, WhoStandsByHasLanesOnlyWhileNobodyElseIsThere) {
    auto shares = shares_of({16, 0});
    shares.owners[1].want.stands_by = true;
    EXPECT_EQ(balance_for(shares, 1).take, 0U);
    EXPECT_EQ(settled(shares), Counts({32, 0}));
    shares.owners[0].want.stands_by = true;
    EXPECT_EQ(settled(shares), Counts({16, 16})) << "two that stand by share as others do";
    shares.owners[0].want = {.lanes = 0};
    EXPECT_EQ(settled(shares), Counts({0, 32}));
    shares.owners[0].want = {.lanes = kAll};
    shares.owners[0].lanes = 0;
    shares.owners[1].lanes = 32;
    EXPECT_EQ(settled(shares), Counts({32, 0})) << "the other is back";
}

TEST(BalanceTest, WhoIsDrainedHasLanesOnlyWhileNobodyElseIsThere) {
    auto shares = shares_of({16, 16});
    shares.owners[0].drains = true;
    EXPECT_EQ(settled(shares), Counts({0, 32}));
    shares.owners[1].want.stands_by = true;
    EXPECT_EQ(settled(shares), Counts({0, 32})) << "that is what it stands by for";
    shares.owners[1].drains = true;
    EXPECT_EQ(settled(shares), Counts({16, 16})) << "events go on";
}

TEST(BalanceTest, WhateverTheyHaveTheyAreEvenAfterEachHasDoneItsPart) {
    std::mt19937 random(7);
    const auto roll = [&](std::size_t below) { return random() % below; };
    for (int times = 0; times < 2000; ++times) {
        Counts counts(1 + roll(7), 0);
        std::size_t left = 32;
        for (auto& one : counts) {
            one = roll(left + 1);
            left -= one;
        }
        const auto even = settled(shares_of(counts));
        const auto [least, most] = std::ranges::minmax(even);
        EXPECT_LE(most - least, 1U);
        EXPECT_EQ(std::accumulate(even.begin(), even.end(), std::size_t{0}), 32U);
    }
}

}  // namespace
}  // namespace txstream::relay
