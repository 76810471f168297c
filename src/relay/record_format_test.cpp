#include "relay/record_format.hpp"

#include "tests/support/fake_rows.hpp"

#include <gtest/gtest.h>

namespace txstream::relay {
namespace {

using tests::FakeEvent;

/// The events of one page in wire form, kept together with what they point into.
struct Wire {
    outbox::Events events;
    std::string arena;
    std::vector<WireEvent> records;

    explicit Wire(const std::vector<FakeEvent>& fakes) : events(tests::fake_events(fakes)) {
        append_wire_events(events, 0, events.size(), "txstream.events", arena, records);
    }
};

std::string text_of(std::span<const Header> headers) {
    std::string text;
    for (const auto& header : headers)
        text.append(header.name).append("=").append(header.value).append(";");
    return text;
}

TEST(RecordFormatTest, TheEnvelopeIsTheOneOfTheEarlierSystem) {
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
        "content-type=application/json;"
    );
}

TEST(RecordFormatTest, NamesAreEscapedAndUtf8GoesThrough) {
    const Wire wire({{.aggregate_id = "São \"x\"\n", .payload = "\"São Paulo\""}});
    EXPECT_NE(
        wire.records[0].value.find(R"("aggregate_id":"São \"x\"\n")"), std::string_view::npos
    );
    EXPECT_NE(wire.records[0].value.find(R"("event_data":"São Paulo")"), std::string_view::npos);
}

TEST(RecordFormatTest, BytesTravelAsTheyAreAndNoPayloadIsATombstone) {
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

TEST(RecordFormatTest, AnEventsOwnTopicAndKeyWin) {
    const Wire wire({{.aggregate_id = "a", .topic = "elsewhere", .key = "k"}});
    EXPECT_EQ(wire.records[0].topic, "elsewhere");
    EXPECT_EQ(wire.records[0].key, "k");
}

TEST(RecordFormatTest, OwnHeadersFollowOursAndCannotReplaceThem) {
    const Wire wire({{.headers = R"({"z":"1","event_id":"forged","a":5,"o":{"x":[1]}})"}});
    RecordHeaders headers;
    const auto text = text_of(headers.of(wire.records[0]));
    EXPECT_TRUE(text.ends_with(R"(content-type=application/json;z=1;a=5;o={"x":[1]};)")) << text;
    EXPECT_EQ(text.find("forged"), std::string::npos);
}

TEST(RecordFormatTest, ValuesOfOwnHeadersThatAreNoTextsArriveAsTheirJson) {
    const Wire wire(
        {{.headers = R"({"n": 12345678901234567890123, "f":1.50, "n":[true,null], "s":"\u00e9"})"}}
    );
    RecordHeaders headers;
    const auto text = text_of(headers.of(wire.records[0]));
    EXPECT_TRUE(text.ends_with("n=12345678901234567890123;f=1.50;n=[true,null];s=\u00e9;")) << text;
}

TEST(RecordFormatTest, HeadersThatNoTextCanHoldDoNotHoldUpTheEvent) {
    const Wire wire({{.headers = R"({"half":"\ud800"})"}});
    RecordHeaders headers;
    EXPECT_TRUE(text_of(headers.of(wire.records[0])).ends_with("content-type=application/json;"));
}

TEST(RecordFormatTest, EachEventHasItsOwnHeadersOnly) {
    const Wire wire({{.headers = R"({"a":"1"})"}, {.headers = R"({"b":"2","c":"3"})"}, {}});
    RecordHeaders headers;
    const std::vector<std::string> own{"a=1;", "b=2;c=3;", ""};
    for (std::size_t i = 0; i < own.size(); ++i) {
        const auto text = text_of(headers.of(wire.records[i]));
        EXPECT_TRUE(text.ends_with("content-type=application/json;" + own[i])) << text;
    }
}

// Names of characters that take the most room in JSON.
TEST(RecordFormatTest, ManyEventsStayWhereTheyWereWritten) {
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

}  // namespace
}  // namespace txstream::relay
