#include "relay/send_spans.hpp"

#include "relay/delivery.hpp"
#include "relay/fake_kafka.hpp"
#include "relay/fake_outbox.hpp"
#include "telemetry/semconv.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <map>

namespace txstream::relay {
namespace {

using namespace std::chrono_literals;
namespace semconv = telemetry::semconv;
using telemetry::Span;

struct Kept final : telemetry::SpanSink {
    void take(Span span) override { spans.push_back(std::move(span)); }
    std::vector<Span> spans;
};

std::string parent(int number, std::string_view flags) {
    char text[56];
    std::snprintf(text, sizeof text, "00-%032d-%016d-%.2s", number, number, flags.data());
    return text;
}
std::string headers(const std::string& traceparent) {
    return R"({"traceparent":")" + traceparent + R"(","tracestate":"a=1"})";
}

class SendSpansTest : public testing::Test {
protected:
    SendSpansTest() {
        silence_log();
        outbox::ClaimedLane claimed{};
        claimed.lane = LaneId(1);
        claimed.epoch = Epoch(1);
        claimed.cursor = snapshot(10);
        delivery_.add_lane(claimed, Delivery::Clock::now() + 1h);
    }
    void publish(std::vector<tests::FakeEvent> events) {
        for (auto& event : events) {
            event.id = ++last_id_;
            event.lane = 1;
        }
        add_page(delivery_, 1, events, snapshot(20));
        ASSERT_TRUE(gate_.may_send(Delivery::Clock::now()));
        delivery_.pump();
    }
    static std::map<std::string_view, std::string> attributes(const Span& span) {
        std::map<std::string_view, std::string> all;
        for (const auto& [name, value] : span.attributes) {
            const auto* const text = std::get_if<std::string>(&value);
            all[name] = text ? *text : "int " + std::to_string(std::get<std::int64_t>(value));
        }
        return all;
    }

    asio::io_context loop_;
    FakeKafka kafka_;
    Kept sink_;
    telemetry::Tracer tracer_{telemetry::Sampler(0, true), sink_};
    telemetry::Registry registry_;
    Metrics metrics_{registry_};
    runtime::Wakeup reader_{loop_.get_executor()};
    runtime::Wakeup keeper_{loop_.get_executor()};
    SharedBreaker breaker_{
        {.failure_threshold = 1, .success_threshold = 1, .reset_timeout = 1h}, nullptr
    };
    DeliveryGate gate_{DeliveryGate::Limits(), breaker_};
    Blockages blockages_{nullptr};
    Delivery delivery_{
        {.executor = loop_.get_executor(),
         .publisher = kafka_.maker(),
         .gate = gate_,
         .metrics = metrics_,
         .reader = reader_,
         .keeper = keeper_,
         .topic = "t",
         .blockages = blockages_,
         .tracing = {&tracer_, "client", "broker", 9092}},
        {}
    };
    std::int64_t last_id_ = 0;
};

TEST_F(SendSpansTest, APageHasOneSpanWithLinksToTheTracesOfItsEventsThatAreSampled) {
    publish(
        {{.headers = headers(parent(1, "01"))},
         {.headers = headers(parent(1, "01"))},
         {.headers = headers(parent(2, "00"))},
         {.headers = headers("not one")},
         {},
         {.headers = headers(parent(3, "03"))}}
    );
    EXPECT_TRUE(sink_.spans.empty()) << "before Kafka has it";
    kafka_.report(Outcome::acknowledged);
    ASSERT_EQ(sink_.spans.size(), 1U);
    const auto& span = sink_.spans[0];
    ASSERT_EQ(span.links.size(), 2U) << "what one transaction wrote is one link";
    EXPECT_EQ(span.links[0].context.traceparent(), parent(1, "01"));
    EXPECT_EQ(span.links[0].state, "a=1");
    EXPECT_EQ(span.links[1].context.traceparent(), parent(3, "03"));
    EXPECT_EQ(span.name, "send t");
    EXPECT_EQ(span.kind, telemetry::SpanKind::client);
    EXPECT_EQ(span.parent, telemetry::SpanId());
    EXPECT_LE(span.begun, span.ended);
    EXPECT_FALSE(span.is_error);
    const std::map<std::string_view, std::string> expected{
        {"messaging.system", "kafka"},
        {"messaging.operation.name", "send"},
        {"messaging.operation.type", "send"},
        {"messaging.destination.name", "t"},
        {"messaging.destination.partition.id", "0"},
        {"messaging.batch.message_count", "int 6"},
        {"messaging.client.id", "client"},
        {"server.address", "broker"},
        {"server.port", "int 9092"},
        {"txstream.lane", "int 1"}
    };
    EXPECT_EQ(attributes(span), expected);
}

TEST_F(SendSpansTest, OneMessageAloneIsNamed) {
    publish({{.aggregate_id = "key", .headers = headers(parent(1, "01"))}});
    kafka_.report(Outcome::acknowledged);
    ASSERT_EQ(sink_.spans.size(), 1U);
    const auto all = attributes(sink_.spans[0]);
    EXPECT_EQ(all.at(semconv::kMessagingKafkaKey), "key");
    EXPECT_EQ(all.at(semconv::kMessagingKafkaOffset), "int 0");
    EXPECT_TRUE(all.contains(semconv::kMessagingMessageId));
}

TEST_F(SendSpansTest, APageOfSeveralTopicsNamesNone) {
    publish({{.topic = "a", .headers = headers(parent(1, "01"))}, {.topic = "b"}});
    kafka_.report(Outcome::acknowledged);
    ASSERT_EQ(sink_.spans.size(), 1U);
    EXPECT_EQ(sink_.spans[0].name, "send");
    EXPECT_FALSE(attributes(sink_.spans[0]).contains(semconv::kMessagingDestination));
}

TEST_F(SendSpansTest, WhatIsNotSampledHasNoSpan) {
    publish({{.headers = headers(parent(1, "00"))}, {}});
    kafka_.report(Outcome::acknowledged);
    EXPECT_TRUE(sink_.spans.empty());
}

TEST_F(SendSpansTest, TheLinksOfAPageAreBounded) {
    std::vector<tests::FakeEvent> events;
    for (int i = 1; i <= 140; ++i) events.push_back({.headers = headers(parent(i, "01"))});
    publish(events);
    kafka_.report(Outcome::acknowledged);
    ASSERT_EQ(sink_.spans.size(), 1U);
    EXPECT_EQ(sink_.spans[0].links.size(), Span::kLinksMax);
    EXPECT_EQ(sink_.spans[0].links_dropped, 12U);
}

TEST_F(SendSpansTest, APageThatKafkaDidNotTakeIsAnErrorAndItsNextTryAnotherSpan) {
    const std::vector<tests::FakeEvent> page{{.headers = headers(parent(1, "01"))}, {}};
    publish(page);
    kafka_.report(Outcome::retryable, "NOT_ENOUGH_REPLICAS");
    ASSERT_TRUE(delivery_.needs_restart());
    delivery_.restart();
    ASSERT_EQ(sink_.spans.size(), 1U);
    EXPECT_TRUE(sink_.spans[0].is_error);
    EXPECT_EQ(attributes(sink_.spans[0]).at(semconv::kErrorType), "NOT_ENOUGH_REPLICAS");
    EXPECT_EQ(attributes(sink_.spans[0]).at(semconv::kMessagingMessageCount), "int 2");
    EXPECT_EQ(sink_.spans[0].links.size(), 1U);
}

}  // namespace
}  // namespace txstream::relay
