#include "otlp/trace_json.hpp"

#include "base/version.hpp"
#include "telemetry/semconv.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace txstream::otlp {
namespace {

using telemetry::Span;

std::chrono::sys_time<std::chrono::nanoseconds> at(std::int64_t nanoseconds) {
    return std::chrono::sys_time<std::chrono::nanoseconds>(std::chrono::nanoseconds(nanoseconds));
}

TEST(TraceJsonTest, ASpanIsWrittenAsOtlpHasIt) {
    Span span;
    span.trace = {{{0x4bf92f3577b34da6, 0xa3ce929d0e0e4736}, {0xf067aa0ba902b7}, 0x03}, "a=\"1\""};
    span.parent = {0x0102030405060708};
    span.name = "send \"x\"";
    span.kind = telemetry::SpanKind::client;
    span.begun = at(1'700'000'000'123'456'789);
    span.ended = at(1'700'000'001'000'000'000);
    span.set("messaging.system", "kafka");
    span.set("messaging.batch.message_count", std::int64_t{9'007'199'254'740'993});
    span.link({{{0, 1}, {2}, 1}, "b=2"});
    span.links_dropped = 7;
    span.is_error = true;
    const std::string schema(telemetry::semconv::kSchemaUrl);
    EXPECT_EQ(
        trace_request({{"service.name", "x"}}, std::vector{span}),
        R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"x"}}]},)"
        R"("scopeSpans":[{"scope":{"name":"txstream","version":")" +
            std::string(version()) +
            R"("},"spans":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7",)"
            R"("traceState":"a=\"1\"","flags":3,"parentSpanId":"0102030405060708","name":"send \"x\"","kind":3,)"
            R"("startTimeUnixNano":"1700000000123456789","endTimeUnixNano":"1700000001000000000",)"
            R"("attributes":[{"key":"messaging.system","value":{"stringValue":"kafka"}},)"
            R"({"key":"messaging.batch.message_count","value":{"intValue":"9007199254740993"}}],)"
            R"("links":[{"traceId":"00000000000000000000000000000001","spanId":"0000000000000002","traceState":"b=2","flags":1}],)"
            R"("droppedLinksCount":7,"status":{"code":2}}],"schemaUrl":")" +
            schema + R"("}],"schemaUrl":")" + schema + R"("}]})"
    );
}

TEST(TraceJsonTest, WhatASpanHasNotIsLeftOut) {
    Span span;
    span.trace.context = {{1, 2}, {3}, 1};
    const auto json = trace_request({}, std::vector{span, span});
    for (const auto* const name :
         {"traceState", "parentSpanId", "links", "droppedLinksCount", "status"})
        EXPECT_EQ(json.find(name), std::string::npos) << name;
}

TEST(TraceJsonTest, AnAnswerMayRejectSpans) {
    for (const auto* const answer :
         {R"({"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}})",
          R"({"partialSuccess":{"rejectedSpans":3,"errorMessage":"too old"}})"}) {
        const auto partial = partial_success(answer);
        EXPECT_EQ(partial.rejected_spans, 3);
        EXPECT_EQ(partial.message, "too old");
    }
    for (const auto* const answer :
         {"",
          "{}",
          "<html>",
          "[]",
          R"({"partialSuccess":{}})",
          R"({"partialSuccess":null})",
          R"({"partialSuccess":{"rejectedSpans":null}})",
          R"({"partialSuccess":{"rejectedSpans":"many"}})"})
        EXPECT_EQ(partial_success(answer).rejected_spans, 0) << answer;
}

}  // namespace
}  // namespace txstream::otlp
