#include "cli/threshold.hpp"

#include <gtest/gtest.h>

#include <array>

namespace txstream::cli {
namespace {

constexpr std::array kFigures = {Figure{"pending"}, Figure{"oldest_pending", true}};

bool is_true(std::string_view text, double value) {
    const auto threshold = parse_threshold(text, kFigures);
    EXPECT_TRUE(threshold) << text;
    return threshold && is_beyond(*threshold, value);
}

TEST(ThresholdTest, EachComparisonMeansWhatItSays) {
    EXPECT_TRUE(is_true("pending>10", 11));
    EXPECT_FALSE(is_true("pending>10", 10));
    EXPECT_TRUE(is_true("pending >= 10", 10));
    EXPECT_FALSE(is_true("pending>=10", 9));
    EXPECT_TRUE(is_true("pending<1", 0));
    EXPECT_FALSE(is_true("pending<1", 1));
    EXPECT_TRUE(is_true("pending<=1", 1));
    EXPECT_TRUE(is_true("pending=3", 3));
    EXPECT_TRUE(is_true("pending==3", 3));
    EXPECT_FALSE(is_true("pending!=3", 3));
    EXPECT_TRUE(is_true("pending!=3", 4));
}

TEST(ThresholdTest, ALimitOfATimeHasAUnit) {
    EXPECT_TRUE(is_true("oldest_pending>60s", 60.5));
    EXPECT_FALSE(is_true("oldest_pending>60s", 60));
    EXPECT_FALSE(is_true("oldest_pending>2m", 119));
    EXPECT_TRUE(is_true("oldest_pending>500ms", 0.6));
}

TEST(ThresholdTest, WhatIsMalformedIsRefusedWithWhatThereIs) {
    for (const auto& [text, told] : {
             std::pair{"pending", "needs a comparison"},
             std::pair{"", "needs a comparison"},
             std::pair{"pending!10", "a comparison is"},
             std::pair{"pending>", "whole number"},
             std::pair{"pending>ten", "whole number"},
             std::pair{"pending>-1", "whole number"},
             std::pair{"pending>60s", "whole number"},
             std::pair{"pending>>1", "whole number"},
             std::pair{"oldest_pending>60", "60s"},
             std::pair{"pendin>1", "did you mean pending?"},
             std::pair{"xyz>1", "pending, oldest_pending"},
             std::pair{">1", "pending, oldest_pending"},
         }) {
        const auto refused = parse_threshold(text, kFigures);
        ASSERT_FALSE(refused) << text;
        EXPECT_EQ(refused.error().code(), Code::invalid_input);
        EXPECT_NE(refused.error().what().find(told), std::string::npos) << refused.error().what();
    }
}

}  // namespace
}  // namespace txstream::cli
