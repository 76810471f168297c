#include "domain/json_writer.hpp"

#include "base/text.hpp"
#include "domain/json_value.hpp"
#include "domain/test_support.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <random>
#include <string>

namespace txstream::domain {
namespace {

std::string json_of(std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
}

TEST(JsonWriterTest, CommasStandBetweenMembersAndElementsOnly) {
    std::string out;
    JsonWriter(out)
        .begin_object()
        .key("a")
        .begin_array()
        .integer(-1)
        .begin_object()
        .end_object()
        .begin_array()
        .end_array()
        .null()
        .boolean(true)
        .boolean(false)
        .end_array()
        .key("b")
        .raw("true")
        .key("c")
        .raw("{\"x\":1}")
        .key("d")
        .money(Money::from_cents(100'00))
        .key("e")
        .string("f")
        .end_object();
    EXPECT_EQ(out, R"({"a":[-1,{},[],null,true,false],"b":true,"c":{"x":1},"d":100.00,"e":"f"})");
}

TEST(JsonWriterTest, OnlyWhatMustBeEscapedIs) {
    EXPECT_EQ(json_of("\"\\/"), R"("\"\\/")");
    EXPECT_EQ(json_of("\b\f\n\r\t"), R"("\b\f\n\r\t")");
    EXPECT_EQ(json_of(std::string_view("\0\x01\x1f\x7f", 4)), "\"\\u0000\\u0001\\u001f\\u007f\"");
    EXPECT_EQ(json_of("<São Paulo> & \xE2\x80\xA8 😀"), "\"<São Paulo> & \xE2\x80\xA8 😀\"");
    EXPECT_EQ(json_of(""), "\"\"");
}

// Aim: any text comes back. Method: seeded code points of all lengths, read back by nlohmann's
// parser and by ours.
TEST(JsonWriterTest, AnyTextSurvivesTheWayThroughJson) {
    const auto seed = test::seed();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const auto below = [&](std::uint32_t limit) {
        return static_cast<std::uint32_t>(random()) % limit;
    };
    const auto append_code_point = [](std::string& text, std::uint32_t c) {
        const auto tail = [&](unsigned bits) {
            text.push_back(static_cast<char>(0x80 | ((c >> bits) & 0x3F)));
        };
        if (c < 0x80) {
            text.push_back(static_cast<char>(c));
        } else if (c < 0x800) {
            text.push_back(static_cast<char>(0xC0 | (c >> 6)));
            tail(0);
        } else if (c < 0x10000) {
            text.push_back(static_cast<char>(0xE0 | (c >> 12)));
            tail(6);
            tail(0);
        } else {
            text.push_back(static_cast<char>(0xF0 | (c >> 18)));
            tail(12);
            tail(6);
            tail(0);
        }
    };
    for (int i = 0; i < 3000; ++i) {
        std::string text;
        for (auto length = below(40); length > 0; --length) {
            const std::uint32_t limits[] = {0x20, 0x80, 0x800, 0xD800, 0x110000};
            auto c = below(limits[below(5)]);
            if (c >= 0xD800 && c <= 0xDFFF) c = 0xFFFD;  // surrogates are no characters
            append_code_point(text, c);
        }
        const auto json = json_of(text);
        ASSERT_EQ(nlohmann::json::parse(json).get<std::string>(), text) << json;
        ASSERT_EQ(parse_json(json).value().string(), text) << json;
    }
}

std::string to_rfc3339(Timestamp time) {
    std::string text;
    append_rfc3339(text, time);
    return text;
}

TEST(TimestampTest, MicrosecondsAreShownOnlyWhenThereAreAny) {
    using namespace std::chrono_literals;
    const Timestamp time(std::chrono::sys_days(std::chrono::year(2024) / 1 / 15) + 10h + 30min);
    EXPECT_EQ(to_rfc3339(time), "2024-01-15T10:30:00Z");
    EXPECT_EQ(to_rfc3339(time + 7us), "2024-01-15T10:30:00.000007Z");
    EXPECT_EQ(to_rfc3339(time + 59s + 999999us), "2024-01-15T10:30:59.999999Z");
    EXPECT_EQ(to_rfc3339(time + 59s + 500ms), "2024-01-15T10:30:59.500000Z");
}

TEST(TimestampTest, TimesBefore1970AreRight) {
    using namespace std::chrono_literals;
    EXPECT_EQ(to_rfc3339(Timestamp(0us)), "1970-01-01T00:00:00Z");
    EXPECT_EQ(to_rfc3339(Timestamp(-1us)), "1969-12-31T23:59:59.999999Z");
}

}  // namespace
}  // namespace txstream::domain
