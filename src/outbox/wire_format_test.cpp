#include "outbox/wire_format.hpp"

#include "outbox/record_headers.hpp"
#include "outbox/wire_event.hpp"
#include "tests/support/cloud_events.hpp"
#include "tests/support/fake_rows.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace txstream::outbox {
namespace {

using tests::FakeEvent;

/// The events of one page in wire form, kept together with what they point into.
struct Wire {
    Events events;
    std::string arena;
    std::vector<WireEvent> records;

    explicit Wire(const std::vector<FakeEvent>& fakes, const WireFormat& format = txstream_format())
        : events(tests::fake_events(fakes)) {
        std::vector<std::uint32_t> all(events.size());
        std::iota(all.begin(), all.end(), 0U);
        append_wire_events(format, events, all, "txstream.events", arena, records);
    }
};

std::string text_of(std::span<const Header> headers) {
    std::string text;
    for (const auto& header : headers)
        text.append(header.name).append("=").append(header.value).append(";");
    return text;
}

TEST(WireFormatTest, TheEnvelopeIsTheOneOfTheEarlierSystem) {
    const Wire wire(
        {{.id = 7,
          .aggregate_id = "order-1",
          .event_type = "OrderCreated",
          .payload = R"({"b": 1,  "a":2, "a":3})",
          .metadata = R"({"source":"x"})"}}
    );
    const auto& record = wire.records.at(0);
    EXPECT_EQ(
        record.value,
        R"({"event_id":"11111111-1111-1111-0000-000000000007","aggregate_id":"order-1","aggregate_type":"Test",)"
        R"("event_type":"OrderCreated","event_data":{"b": 1,  "a":2, "a":3},)"
        R"("created_at":"2023-11-14T22:13:20Z","event_metadata":{"source":"x"}})"
    );
    EXPECT_EQ(record.key, "order-1");
    EXPECT_EQ(record.topic, "txstream.events");
    RecordHeaders headers;
    EXPECT_EQ(
        text_of(headers.of(record)),
        "event_type=OrderCreated;aggregate_type=Test;event_id=11111111-1111-1111-0000-000000000007;"
        "content-type=application/json;created_at=2023-11-14T22:13:20Z;"
    );
}

TEST(WireFormatTest, AnotherFormatSaysTheSameInItsOwnWords) {
    const tests::CloudEvents format;
    const Wire wire(
        {{.id = 7,
          .aggregate_id = "order-\"1\"",
          .event_type = "OrderCreated",
          .key = "customer-2",
          .payload = R"({"a":1})",
          .headers = R"({"ce_id":"forged","event_type":"a writer's own","half":"\ud83d"})"},
         {.id = 8, .payload = std::nullopt, .headers = R"({"\u0061":"b"})"}},
        format
    );
    const auto& record = wire.records.at(0);
    EXPECT_EQ(record.value, R"({"a":1})");
    EXPECT_EQ(record.key, "customer-2");
    EXPECT_EQ(record.identity.id, EventSeq(7, 3));
    EXPECT_EQ(record.identity.event_id, "11111111-1111-1111-0000-000000000007");
    EXPECT_EQ(record.identity.aggregate_id, "order-\"1\"");
    RecordHeaders headers(format);
    EXPECT_EQ(
        text_of(headers.of(record)),
        "ce_specversion=1.0;ce_id=11111111-1111-1111-0000-000000000007;ce_source=/outbox/Test;"
        "ce_type=OrderCreated;ce_subject=order-\"1\";ce_time=2023-11-14T22:13:20Z;"
        "content-type=application/json;event_type=a writer's own;"
        R"(txstream-missing-headers=["ce_id","half"];)"
    );
    EXPECT_TRUE(wire.records.at(1).is_tombstone);
    const auto second = text_of(headers.of(wire.records.at(1)));
    EXPECT_TRUE(second.ends_with("content-type=application/json;a=b;")) << second;
}

TEST(WireFormatTest, OnlyAMarkedRecordHasTheHeadersThatSayWhyItIsLate) {
    const Wire wire({{.headers = R"({"txstream-attempt":"9"})"}});
    RecordHeaders headers;
    const auto own = text_of(headers.of(wire.records[0]));
    EXPECT_EQ(
        text_of(headers.marks(3, "lane-lost")),
        "txstream-attempt=3;txstream-delay-reason=lane-lost;"
    );
    EXPECT_EQ(own.find("txstream-attempt="), std::string::npos) << "no writer's";
    EXPECT_EQ(text_of(headers.of(wire.records[0])), own);
}

TEST(WireFormatTest, ATimeThatRfc3339CannotExpressIsLeftOut) {
    constexpr auto kMax = std::numeric_limits<std::int64_t>::max();
    constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
    constexpr std::int64_t kPostgresEpoch = 946'684'800'000'000;
    const auto at = [](int year) {
        const std::chrono::sys_time<std::chrono::microseconds> time =
            std::chrono::sys_days(std::chrono::year(year) / 1 / 1);
        return time.time_since_epoch().count();
    };
    // PostgreSQL's infinities as it sends them, its first and last year, and the two beside ours.
    for (const auto time :
         {kMax, kMin + kPostgresEpoch, at(-4712), at(0), at(10'000), at(32'000)}) {
        const Wire wire({{.metadata = R"({"a":1})", .created_at_us = time}});
        EXPECT_NE(
            wire.records[0].value.find(R"("event_data":{},"event_metadata":{"a":1}})"),
            std::string_view::npos
        ) << wire.records[0].value;
        RecordHeaders headers;
        EXPECT_EQ(text_of(headers.of(wire.records[0])).find("created_at"), std::string::npos);
    }
    for (const auto& [year, text] : std::map<int, std::string>{{1, "0001"}, {9999, "9999"}}) {
        const Wire wire({{.created_at_us = at(year)}});
        const auto expected = R"("created_at":")" + text + R"(-01-01T00:00:00Z"})";
        EXPECT_TRUE(wire.records[0].value.ends_with(expected)) << wire.records[0].value;
    }
}

TEST(PlausibleAgeTest, AWrongClockIsNoAge) {
    using Time = std::chrono::sys_time<std::chrono::microseconds>;
    using namespace std::chrono_literals;
    const Time now(std::chrono::seconds(1'700'000'000));
    EXPECT_EQ(plausible_age(now - 3s, now), 3s);
    EXPECT_EQ(plausible_age(now + 59s, now), 0s) << "clocks differ a little";
    EXPECT_EQ(plausible_age(now - 24h * 29, now), 24h * 29);
    for (const Time time :
         {now + 2h, now - 24h * 31, Time::max(), Time::min(), Time(-62'135'596'800s)})
        EXPECT_FALSE(plausible_age(time, now));
}

TEST(WireFormatTest, NamesAreEscapedAndUtf8GoesThrough) {
    const Wire wire({{.aggregate_id = "São \"x\"\n", .payload = "\"São Paulo\""}});
    EXPECT_NE(
        wire.records[0].value.find(R"("aggregate_id":"São \"x\"\n")"), std::string_view::npos
    );
    EXPECT_NE(wire.records[0].value.find(R"("event_data":"São Paulo")"), std::string_view::npos);
}

TEST(WireFormatTest, BytesTravelAsTheyAreAndNoPayloadIsATombstone) {
    const std::string bytes("\x00\xff\x10", 3);
    const Wire wire(
        {{.id = 1, .payload_bytes = bytes, .content_type = "application/avro"},
         {.id = 2, .payload = std::nullopt}}
    );
    EXPECT_EQ(wire.records[0].value, bytes);
    EXPECT_EQ(wire.records[0].content_type, "application/avro");
    EXPECT_FALSE(wire.records[0].is_tombstone);
    EXPECT_TRUE(wire.records[1].is_tombstone);
}

TEST(WireFormatTest, AnEventsOwnTopicAndKeyWin) {
    const Wire wire({{.aggregate_id = "a", .topic = "elsewhere", .key = "k"}});
    EXPECT_EQ(wire.records[0].topic, "elsewhere");
    EXPECT_EQ(wire.records[0].key, "k");
}

TEST(WireFormatTest, OwnHeadersFollowOursAndCannotReplaceThem) {
    const Wire wire({{.headers = R"({"z":"1","event_id":"forged","a":5,"o":{"x":[1]}})"}});
    RecordHeaders headers;
    const auto text = text_of(headers.of(wire.records[0]));
    EXPECT_TRUE(text.ends_with(R"(20Z;z=1;a=5;o={"x":[1]};txstream-missing-headers=["event_id"];)"))
        << text;
    EXPECT_EQ(text.find("forged"), std::string::npos);
}

TEST(WireFormatTest, ValuesOfOwnHeadersThatAreNoTextsArriveAsTheirJson) {
    const Wire wire(
        {{.headers = R"({"n": 12345678901234567890123, "f":1.50, "n":[true,null] , "s":"\u00e9"})"}}
    );
    RecordHeaders headers;
    const auto text = text_of(headers.of(wire.records[0]));
    EXPECT_TRUE(text.ends_with("n=12345678901234567890123;f=1.50;n=[true,null];s=\u00e9;")) << text;
}

TEST(WireFormatTest, OneHeaderThatCannotBeSentIsNamedAndTheOthersArrive) {
    const std::string deep = std::string(500, '[') + std::string(500, ']');
    const std::vector<std::pair<std::string, std::string>> cases{
        {R"({"a":"1","half":"\ud83d","z":"2"})", R"(a=1;z=2;txstream-missing-headers=["half"];)"},
        {R"({"\udc00":"1","z":"2"})", R"(z=2;txstream-missing-headers=["\udc00"];)"},
        {R"({"txstream-x":"1","content-type":"2","created_at":"3"})",
         R"(txstream-missing-headers=["txstream-x","content-type","created_at"];)"},
        {R"({"a":"1","b":1e400,"":"no name","a":"again","n":null})",
         "a=1;b=1e400;=no name;a=again;n=null;"},
        {R"({"deep":)" + deep + R"(,"z":""})", "deep=" + deep + ";z=;"},
        {R"({"pair":"\ud83d\ude00"})", "pair=\xF0\x9F\x98\x80;"},
        {"[1]", "txstream-missing-headers=[null];"},
        {R"({"a":"1","b)", "a=1;txstream-missing-headers=[null];"},
    };
    RecordHeaders headers;
    for (const auto& [written, arrived] : cases) {
        const Wire wire({{.headers = written}});
        const auto text = text_of(headers.of(wire.records[0]));
        EXPECT_TRUE(text.ends_with("created_at=2023-11-14T22:13:20Z;" + arrived)) << text;
    }
}

TEST(WireFormatTest, MetadataThatIsNullIsNone) {
    const Wire wire({{.metadata = "null"}});
    EXPECT_EQ(wire.records[0].value.find("event_metadata"), std::string_view::npos);
}

TEST(WireFormatTest, EachEventHasItsOwnHeadersOnly) {
    const Wire wire({{.headers = R"({"a":"1"})"}, {.headers = R"({"b":"2","c":"3"})"}, {}});
    RecordHeaders headers;
    const std::vector<std::string> own{"a=1;", "b=2;c=3;", ""};
    for (std::size_t i = 0; i < own.size(); ++i) {
        const auto text = text_of(headers.of(wire.records[i]));
        EXPECT_TRUE(text.ends_with("created_at=2023-11-14T22:13:20Z;" + own[i])) << text;
    }
}

// Names of characters that take the most room in JSON.
TEST(WireFormatTest, ManyEventsStayWhereTheyWereWritten) {
    std::vector<FakeEvent> fakes;
    for (int i = 0; i < 2000; ++i) {
        fakes.push_back(
            {.id = i, .aggregate_id = std::string(static_cast<std::size_t>(i % 50 + 1), '\1')}
        );
    }
    const Wire wire(fakes);
    ASSERT_EQ(wire.records.size(), fakes.size());
    for (const auto& record : wire.records)
        EXPECT_TRUE(record.value.starts_with("{\"event_id\":\"11111111-"));
}

TEST(WireFormatTest, TheTraceOfAnEventArrivesAsItWasStored) {
    constexpr std::string_view kParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const auto stored = [&](std::string_view parent) {
        return R"({"traceparent":")" + std::string(parent) + R"(","tracestate":"a=\"1\",b=2"})";
    };
    // Ours is written as the client sent it; what another writer stored is its own affair.
    for (const std::string_view parent : {kParent, std::string_view("not one")}) {
        const Wire wire({{.headers = stored(parent)}});
        RecordHeaders headers;
        const auto text = text_of(headers.of(wire.records[0]));
        const auto wanted = "traceparent=" + std::string(parent) + ";tracestate=a=\"1\",b=2;";
        EXPECT_TRUE(text.ends_with(wanted)) << text;
        EXPECT_EQ(trace_of(wire.records[0]), telemetry::parse_traceparent(parent));
    }
    const auto none = std::optional<telemetry::TraceContext>();
    for (const auto* const other : {"", "{}", R"({"traceparent":7})", R"({"tracestate":"a=1"})"}) {
        const Wire wire({{.headers = other}});
        EXPECT_EQ(trace_of(wire.records[0]), none) << other;
    }
}

}  // namespace
}  // namespace txstream::outbox
