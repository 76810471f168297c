#include "outbox/event_filter.hpp"

#include <gtest/gtest.h>

namespace txstream::outbox {
namespace {

using namespace std::chrono_literals;

const Time kNow{std::chrono::sys_days(std::chrono::year(2026) / 1 / 31) + 12h};

EventFilter parsed(std::string_view text) {
    auto result = parse_event_filter(text, kNow);
    EXPECT_FALSE(result.error) << text << ": " << result.error->text;
    return std::move(result.filter);
}

/// "column: text"; empty when there is no error.
std::string refusal(std::string_view text) {
    const auto result = parse_event_filter(text, kNow);
    if (!result.error) return "";
    return std::to_string(result.error->column) + ": " + result.error->text;
}

TEST(EventFilterTest, EachQualifierIsUnderstood) {
    const auto filter = parsed(
        " state:pending,parked type:OrderCreated,\"Order, late\"  aggregate_type:Order "
        "aggregate:a-1 key:\"a b\" order:N-1 error:held lane:0,31 topic:t.1 "
        "trace:4BF92f3577b34da6a3ce929d0e0e4736 created:>-90m created:<=2026-01-31T11:00:00-01:00 "
    );
    EXPECT_EQ(filter.states, (std::vector{EventState::pending, EventState::parked}));
    EXPECT_EQ(filter.types, (std::vector<std::string>{"OrderCreated", "Order, late"}));
    EXPECT_EQ(filter.aggregate_types, std::vector<std::string>{"Order"});
    EXPECT_EQ(filter.aggregate, "a-1");
    EXPECT_EQ(filter.key, "a b");
    EXPECT_EQ(filter.order, "N-1");
    EXPECT_EQ(filter.error_classes, std::vector<std::string>{"held"});
    EXPECT_EQ(filter.lanes, (std::vector<std::int16_t>{0, 31}));
    EXPECT_EQ(filter.topics, std::vector<std::string>{"t.1"});
    EXPECT_EQ(filter.trace, "4bf92f3577b34da6a3ce929d0e0e4736");
    EXPECT_EQ(filter.created_from, kNow - 90min);
    EXPECT_EQ(filter.created_to, kNow);
    EXPECT_EQ(
        parsed("trace:00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").trace,
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
}

// Keys hold commas and colons as they like.
TEST(EventFilterTest, OneKeyIsOneTextWithItsCommasAndColons) {
    EXPECT_EQ(parsed("key:a,b:c").key, "a,b:c");
    EXPECT_EQ(parsed("aggregate:urn:order:7").aggregate, "urn:order:7");
    EXPECT_EQ(parsed("key:\"x\",y").key, "x,y");
}

TEST(EventFilterTest, AnIdIsANumberAReferenceOrAUuid) {
    for (const std::string name : {"", "id:"}) {
        EXPECT_EQ(parsed(name + "9223372036854775807").id, 9223372036854775807);
        EXPECT_EQ(parsed(name + "17.900").ref, EventSeq(17, 900));
        EXPECT_EQ(
            parsed(name + "6F1C0000-0000-4000-8000-000000000001").event_id,
            "6f1c0000-0000-4000-8000-000000000001"
        );
    }
    EXPECT_TRUE(refusal("id:9223372036854775808").starts_with("3: an id is"));
    EXPECT_TRUE(refusal("id:1.").starts_with("3: "));
    EXPECT_TRUE(refusal("id:-1").starts_with("3: "));
    EXPECT_TRUE(refusal("abc").starts_with("0: a word alone"));
    EXPECT_TRUE(refusal("1 2").starts_with("2: id: appears more than once"));
}

TEST(EventFilterTest, AnErrorPointsToItsColumnInCharacters) {
    EXPECT_TRUE(refusal("key:são state:gone").starts_with("14: a state is"));
    EXPECT_TRUE(refusal("state:parked,gone").starts_with("13: a state is"));
    EXPECT_TRUE(refusal("colour:red").starts_with("0: there is no qualifier of this name"));
    EXPECT_TRUE(refusal(":red").starts_with("0: there is no qualifier before"));
    EXPECT_TRUE(refusal("key:").starts_with("4: a value is missing"));
    EXPECT_TRUE(refusal("type:a,,b").starts_with("7: a value is missing"));
    EXPECT_TRUE(refusal("key:\"a").starts_with("4: the quote is not closed"));
    EXPECT_TRUE(refusal("key:\"a\"b").starts_with("7: behind the closing quote"));
    EXPECT_TRUE(refusal("lane:256").starts_with("5: a lane is"));
    EXPECT_TRUE(refusal("created:-1h").starts_with("8: created: needs > or <"));
    EXPECT_TRUE(refusal("created:>yesterday").starts_with("9: a time is"));
    EXPECT_TRUE(refusal("created:>-1y").starts_with("9: a time is"));
    EXPECT_TRUE(refusal("created:>-99999999999h").starts_with("9: a time is"));
    EXPECT_TRUE(refusal("created:>-1h created:>-2h").starts_with("13: created: has one"));
    EXPECT_TRUE(refusal("trace:4bf9").starts_with("6: a trace is"));
    EXPECT_TRUE(refusal("key:a key:b").starts_with("6: key: appears more than once"));
    EXPECT_TRUE(refusal("key:\xff").starts_with("0: the search holds"));
    EXPECT_TRUE(refusal(std::string_view("key:a\0", 6)).starts_with("0: the search holds"));
    EXPECT_TRUE(refusal(std::string(5000, 'x')).starts_with("0: the search is longer"));
}

TEST(EventFilterTest, NothingIsWantedByAnEmptyText) {
    const auto filter = parsed("   ");
    EXPECT_TRUE(filter.states.empty());
    EXPECT_FALSE(filter.id || filter.ref || filter.event_id || filter.key);
}

}  // namespace
}  // namespace txstream::outbox
