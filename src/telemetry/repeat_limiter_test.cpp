#include "telemetry/detail/repeat_limiter.hpp"

#include <gtest/gtest.h>

#include <string>

namespace txstream::log::detail {
namespace {

using namespace std::chrono_literals;

std::uint64_t kind(std::string_view message, Fields fields = {}) {
    return kind_of(Level::error, "http", message, {fields.begin(), fields.size()});
}

class RepeatLimiterTest : public testing::Test {
protected:
    bool say(std::uint64_t kind, RepeatLimiter::Time now, const std::string& line = "line") {
        for (auto& summary : limiter_.due(now)) told_.push_back(std::move(summary));
        const bool is_written = limiter_.admit(kind, Level::error, now);
        if (limiter_.wants_sample()) limiter_.keep(line);
        return is_written;
    }
    std::uint64_t told_lines() const {
        std::uint64_t all = 0;
        for (const auto& summary : told_) all += summary.repeats;
        return all;
    }

    RepeatLimiter limiter_;
    std::vector<RepeatLimiter::Summary> told_;
};

TEST_F(RepeatLimiterTest, AFloodIsItsFirstLinesAndOneCountForEachWindowWhichGrow) {
    std::uint64_t written = 0;
    for (int ms = 0; ms < 60'000; ++ms) written += say(1, std::chrono::milliseconds(ms)) ? 1 : 0;
    EXPECT_EQ(written, RepeatLimiter::kAtOnce);
    EXPECT_EQ(told_.size(), 3U) << "after 5, 15 and 35 s";
    for (auto& summary : limiter_.rest(60s)) told_.push_back(std::move(summary));
    EXPECT_EQ(written + told_lines(), 60'000U) << "no line is lost silently";
    EXPECT_EQ(told_.back().within, 25s);
}

TEST_F(RepeatLimiterTest, WhenAKindGoesQuietItsCountIsToldAndItsNextLineIsWrittenAtOnce) {
    for (int i = 0; i < 10; ++i) say(1, 0s, "number " + std::to_string(i));
    ASSERT_TRUE(limiter_.due(4999ms).empty());
    const auto told = limiter_.due(5s);
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].repeats, 10 - RepeatLimiter::kAtOnce);
    EXPECT_EQ(told[0].line, "number 3") << "the first that was not written";
    EXPECT_EQ(told[0].level, Level::error);
    EXPECT_FALSE(say(1, 6s)) << "a kind that was noisy a moment ago";
    EXPECT_TRUE(limiter_.due(14s).empty());
    EXPECT_EQ(limiter_.due(15s).size(), 1U);
    EXPECT_TRUE(limiter_.due(35s).empty());
    EXPECT_TRUE(say(1, 36s));
    EXPECT_TRUE(limiter_.rest(37s).empty()) << "what was told once is not told again";
}

TEST_F(RepeatLimiterTest, ANoisyKindDoesNotHideAnother) {
    for (int i = 0; i < 1000; ++i) say(1, 0s);
    EXPECT_TRUE(say(2, 0s));
}

TEST_F(RepeatLimiterTest, KindsAreBoundedAndTheRestIsCountedTogether) {
    std::uint64_t written = 0;
    constexpr std::uint64_t kKinds = 10'000;
    for (std::uint64_t i = 1000; i < 1000 + kKinds; ++i) written += say(i, 0s) ? 1 : 0;
    EXPECT_EQ(written, RepeatLimiter::kKindsMax + RepeatLimiter::kAtOnce);
    for (auto& summary : limiter_.due(5s)) told_.push_back(std::move(summary));
    EXPECT_EQ(told_.size(), 1U);
    EXPECT_EQ(written + told_lines(), kKinds);
    EXPECT_TRUE(say(5, 10s));
    EXPECT_TRUE(say(6, 10s)) << "quiet kinds made room";
}

TEST(KindOfLineTest, IdsErrorTextsAndNumbersMakeNoNewKind) {
    EXPECT_EQ(
        kind("refused", {{"event_id", "a"}, {"error", "because of 1"}, {"lane", 1}}),
        kind("refused", {{"event_id", "b"}, {"error", "because of 2"}, {"lane", 2}})
    );
    EXPECT_EQ(
        kind("127.0.0.1:9092/1: failed (after 0ms)"),
        kind("127.0.0.1:19092/23: failed (after 17ms)")
    );
    EXPECT_NE(kind("cannot read 1"), kind("cannot read"));
}

TEST(KindOfLineTest, LevelComponentMessageAndClassMakeAKind) {
    const auto plain = kind("m", {{"topic", "a"}});
    EXPECT_NE(plain, kind("n", {{"topic", "a"}}));
    EXPECT_NE(plain, kind("m", {{"topic", "b"}}));
    EXPECT_NE(plain, kind("m", {{"error_type", "a"}}));
    EXPECT_NE(kind("m", {{"status", 503}}), kind("m", {{"status", 500}}));
    EXPECT_NE(kind_of(Level::warn, "http", "m", {}), kind_of(Level::error, "http", "m", {}));
    EXPECT_NE(kind_of(Level::warn, "http", "m", {}), kind_of(Level::warn, "relay", "m", {}));
    EXPECT_NE(kind_of(Level::warn, "ab", "c", {}), kind_of(Level::warn, "a", "bc", {}));
}

}  // namespace
}  // namespace txstream::log::detail
