#include "http/detail/buffers.hpp"

#include <gtest/gtest.h>

namespace txstream::http::detail {
namespace {

using namespace std::chrono_literals;

class BuffersTest : public testing::Test {
protected:
    static constexpr std::size_t kFree = Buffers::kEachBytes;

    static Buffers::Clock::time_point at(int seconds) {
        return Buffers::Clock::time_point(std::chrono::seconds(seconds));
    }

    int counted_ = 0;
    int broken_ = 0;
    int first_broken_ = 0;
    int second_broken_ = 0;
    Buffers all_{1000, [this](int change) { counted_ += change; }, [this] { ++broken_; }};
    Buffers::Share first_{all_, [this] { ++first_broken_; }};
    Buffers::Share second_{all_, [this] { ++second_broken_; }};
};

TEST_F(BuffersTest, WhatEachMayHoldIsNotCounted) {
    EXPECT_TRUE(first_.hold(kFree, at(1)));
    EXPECT_EQ(all_.bytes(), 0u);
    EXPECT_TRUE(first_.hold(kFree + 1000, at(1)));
    EXPECT_EQ(all_.bytes(), 1000u);
    EXPECT_TRUE(second_.hold(kFree, at(2)));
    EXPECT_EQ(first_broken_, 0);
}

TEST_F(BuffersTest, TheOneThatHasWaitedLongestIsBrokenOff) {
    EXPECT_TRUE(first_.hold(kFree + 600, at(1)));
    EXPECT_TRUE(second_.hold(kFree + 600, at(2)));
    EXPECT_EQ(first_broken_, 1);
    EXPECT_EQ(all_.bytes(), 600u);
    EXPECT_EQ(counted_, 600);
    EXPECT_FALSE(first_.hold(kFree + 600, at(1)));
    EXPECT_EQ(second_broken_, 0);
    EXPECT_EQ(first_broken_, 1);  // it was told by the result
    EXPECT_EQ(broken_, 2);
}

TEST_F(BuffersTest, OneThatWaitsForNobodyOutsideIsLeftAlone) {
    EXPECT_TRUE(first_.hold(kFree + 600, at(1)));
    first_.pin();
    EXPECT_FALSE(second_.hold(kFree + 600, at(2)));
    EXPECT_EQ(first_broken_, 0);
    first_.release();
    EXPECT_TRUE(second_.hold(kFree + 600, at(2)));
    second_.release();
    EXPECT_EQ(counted_, 0);
}

TEST_F(BuffersTest, MoreThanTheLimitIsForNobody) {
    EXPECT_FALSE(first_.hold(kFree + 1001, at(1)));
    EXPECT_EQ(all_.bytes(), 0u);
}

TEST_F(BuffersTest, AConnectionThatEndsIsCountedOut) {
    {
        Buffers::Share third(all_, [] {});
        EXPECT_TRUE(third.hold(kFree + 600, at(1)));
    }
    EXPECT_EQ(all_.bytes(), 0u);
    EXPECT_TRUE(second_.hold(kFree + 1000, at(2)));
    EXPECT_EQ(second_broken_, 0);
}

}  // namespace
}  // namespace txstream::http::detail
