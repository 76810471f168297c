#include "telemetry/trace_context.hpp"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <vector>

namespace txstream::telemetry {
namespace {

constexpr std::string_view kTraceId = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr std::string_view kSpanId = "00f067aa0ba902b7";

std::string parent(
    std::string_view version = "00",
    std::string_view trace = kTraceId,
    std::string_view span = kSpanId,
    std::string_view flags = "01"
) {
    std::string text(version);
    return text.append("-").append(trace).append("-").append(span).append("-").append(flags);
}

TEST(TraceparentTest, TheHeaderOfTheSpecificationIsReadAndWrittenAsItWas) {
    const auto context = parse_traceparent(parent());
    ASSERT_TRUE(context);
    EXPECT_EQ(to_string(context->trace_id), kTraceId);
    EXPECT_EQ(to_string(context->span_id), kSpanId);
    EXPECT_TRUE(context->is_sampled());
    EXPECT_EQ(context->traceparent(), parent());
}

TEST(TraceparentTest, FlagsThatAreNotKnownAreKeptAndOnlyTheFirstIsSampled) {
    for (const auto& [flags, is_sampled] : std::initializer_list<std::pair<std::string_view, bool>>{
             {"00", false}, {"01", true}, {"02", false}, {"03", true}, {"fe", false}, {"ff", true}
         }) {
        const auto context = parse_traceparent(parent("00", kTraceId, kSpanId, flags));
        ASSERT_TRUE(context) << flags;
        EXPECT_EQ(context->is_sampled(), is_sampled) << flags;
        EXPECT_EQ(context->traceparent(), parent("00", kTraceId, kSpanId, flags));
    }
}

TEST(TraceparentTest, ALaterVersionIsReadAsFarAsWeKnowIt) {
    for (const auto& text :
         {parent("01"), parent("cc") + "-", parent("fe") + "-what-the-future-will-be-like"}) {
        const auto context = parse_traceparent(text);
        ASSERT_TRUE(context) << text;
        EXPECT_EQ(context->traceparent(), parent()) << text;
    }
}

TEST(TraceparentTest, WhatIsMalformedIsIgnoredAsAWhole) {
    const std::string zeros(32, '0');
    for (const auto& text : std::vector<std::string>{
             "",
             "00",
             parent("ff"),
             parent("0"),
             parent("000"),
             parent("0g"),
             parent("0A"),
             parent("00", zeros),
             parent("00", std::string(kTraceId.substr(1))),
             parent("00", std::string(kTraceId) + "0"),
             parent("00", "4BF92F3577B34DA6A3CE929D0E0E4736"),
             parent("00", "4bf92f3577b34da6a3ce929d0e0e473g"),
             parent("00", kTraceId, "0000000000000000"),
             parent("00", kTraceId, "00F067AA0BA902B7"),
             parent("00", kTraceId, "00f067aa0ba902b"),
             parent("00", kTraceId, kSpanId, "1"),
             parent("00", kTraceId, kSpanId, "0x"),
             parent("00", kTraceId, kSpanId, "001"),
             parent() + "-",
             parent() + "-00",
             parent("01") + "00",
             parent("01") + ".00",
             " " + parent(),
             parent() + " ",
             parent().replace(2, 1, "_"),
             parent().replace(35, 1, "_"),
             parent().replace(52, 1, "_"),
         })
        EXPECT_FALSE(parse_traceparent(text)) << text;
}

std::string join(std::initializer_list<std::string_view> fields) {
    return join_tracestate(std::vector<std::string_view>(fields));
}

TEST(TracestateTest, FieldsAreJoinedInTheirOrderAndNothingElseIsChanged) {
    EXPECT_EQ(join({"rojo=00f067aa0ba902b7"}), "rojo=00f067aa0ba902b7");
    EXPECT_EQ(join({"a=1,b=2", "c=3"}), "a=1,b=2,c=3");
    EXPECT_EQ(join({"a=1 , b= 2"}), "a=1 , b= 2");
    EXPECT_EQ(join({"a=1,,b=2", ""}), "a=1,,b=2,");
    EXPECT_EQ(join({"1tenant@system=x:\"y\"\\;z"}), "1tenant@system=x:\"y\"\\;z");
}

TEST(TracestateTest, WhatIsMalformedIsLeftOutAsAWhole) {
    const std::string long_key(257, 'k');
    const std::string long_value(257, 'v');
    for (const auto& text : std::vector<std::string>{
             "",
             ",",
             "a",
             "a=",
             "=1",
             "A=1",
             "a b=1",
             "_a=1",
             "a=1=2",
             "a=\x7f",
             "a=\xc3\xa9",
             "a=1,a=2",
             "a=1,b",
             long_key + "=1",
             "a=" + long_value,
         })
        EXPECT_EQ(join({text}), "") << text;
    EXPECT_EQ(join({"a=1", "a=2"}), "") << "over two fields";
}

TEST(TracestateTest, ItsMembersAndItsLengthAreBounded) {
    std::string members;
    for (std::size_t i = 0; i < kTracestateMembersMax; ++i)
        members += (i > 0 ? ",k" : "k") + std::to_string(i) + "=1";
    EXPECT_EQ(join({members}), members);
    EXPECT_EQ(join({members, "one-more=1"}), "");
    const std::string first = "a=" + std::string(256, 'x');
    const std::string second = "b=" + std::string(kTracestateBytesMax - first.size() - 3, 'y');
    EXPECT_EQ(join({first, second}).size(), kTracestateBytesMax);
    EXPECT_EQ(join({first, second + "z"}), first) << "members are left out whole, from the end";
    EXPECT_EQ(join({first, second, "c=1"}), first + "," + second);
}

}  // namespace
}  // namespace txstream::telemetry
