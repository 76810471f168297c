#include "telemetry/tracer.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace txstream::telemetry {
namespace {

TraceIds ids() {
    return TraceIds(TraceIds::Random(7));
}

struct Kept final : SpanSink {
    void take(Span span) override { spans.push_back(std::move(span)); }
    std::vector<Span> spans;
};

TEST(SamplerTest, ARatioIsThatOfTheTracesAndTheSameForEachSpanOfOne) {
    auto made = ids();
    for (const double ratio : {0.0, 0.01, 0.5, 1.0}) {
        const Sampler sampler(ratio, false);
        int sampled = 0;
        for (int i = 0; i < 100'000; ++i) {
            const auto id = made.trace_id();
            const TraceContext parent{id, {1}, static_cast<std::uint8_t>(i & 1)};
            sampled += sampler.samples(id, nullptr) ? 1 : 0;
            ASSERT_EQ(sampler.samples(id, nullptr), sampler.samples(id, &parent));
        }
        EXPECT_NEAR(sampled, ratio * 100'000, 500) << ratio;
    }
}

TEST(SamplerTest, TheLowestIdsAreSampledAndTheFirstHalfOfTheIdDoesNotCount) {
    const Sampler half(0.5, false);
    EXPECT_TRUE(half.samples({~0ULL, 0x7fff'ffff'ffff'0000}, nullptr));
    EXPECT_FALSE(half.samples({0, 0x8000'0000'0000'0000}, nullptr));
    EXPECT_TRUE(Sampler(1, false).samples({0, ~0ULL}, nullptr));
    EXPECT_FALSE(Sampler(0, false).samples({1, 0}, nullptr));
}

TEST(SamplerTest, AParentDecidesForItsChildrenIfTheSamplerAsksIt) {
    const TraceContext sampled{{1, 2}, {3}, 1};
    const TraceContext other{{1, 2}, {3}, 0};
    for (const double ratio : {0.0, 1.0}) {
        EXPECT_TRUE(Sampler(ratio, true).samples({1, 2}, &sampled));
        EXPECT_FALSE(Sampler(ratio, true).samples({1, 2}, &other));
        EXPECT_EQ(Sampler(ratio, false).samples({1, 2}, &other), ratio > 0);
    }
}

TEST(SamplerTest, WhatLinksToARecordedSpanIsRecordedUnlessNothingIs) {
    for (const bool is_parent_based : {false, true}) {
        EXPECT_TRUE(Sampler(0.01, is_parent_based).samples_linked({1, ~0ULL}, true));
        EXPECT_FALSE(Sampler(0.01, is_parent_based).samples_linked({1, ~0ULL}, false));
        EXPECT_TRUE(Sampler(0.01, is_parent_based).samples_linked({1, 0}, false));
    }
    EXPECT_FALSE(Sampler(0, false).samples_linked({1, 2}, true)) << "always_off";
    EXPECT_TRUE(Sampler(0, true).samples_linked({1, 2}, true)) << "parentbased_always_off";
}

TEST(TracerTest, AChildStaysInTheTraceOfItsParentAndKeepsWhatItsFlagsMayHand) {
    Kept sink;
    const Tracer tracer(Sampler(0, true), sink);
    auto made = ids();
    const TraceContext parent{{1, 2}, {3}, 0xff};
    const auto child = tracer.begin(made, &parent);
    EXPECT_EQ(child.trace_id, parent.trace_id);
    EXPECT_NE(child.span_id, parent.span_id);
    EXPECT_EQ(child.flags, 0x03) << "sampled and random; the others are nobody's yet";
    const auto root = tracer.begin(made, nullptr);
    EXPECT_EQ(root.flags, 0);
    EXPECT_NE(root.trace_id, TraceId());
}

TEST(TracerTest, IdsAreNotRepeatedNorSharedByTwoThatAreSeededByTheSystem) {
    std::set<std::string> seen;
    auto one = TraceIds::random();
    auto other = TraceIds::random();
    for (int i = 0; i < 1000; ++i) {
        EXPECT_TRUE(seen.insert(to_string(one.trace_id())).second);
        EXPECT_TRUE(seen.insert(to_string(other.trace_id())).second);
        EXPECT_TRUE(seen.insert(to_string(one.span_id())).second);
    }
}

TEST(SpanTest, ItsLinksAreBoundedAndTheOthersCounted) {
    Span span;
    for (std::size_t i = 0; i < Span::kLinksMax + 5; ++i) span.link({{{1, 2}, {3}, 1}, ""});
    EXPECT_EQ(span.links.size(), Span::kLinksMax);
    EXPECT_EQ(span.links_dropped, 5U);
    EXPECT_GT(span.bytes(), Span::kLinksMax * sizeof(Trace));
}

}  // namespace
}  // namespace txstream::telemetry
