#include "cli/output.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace txstream::cli {
namespace {

using namespace std::chrono_literals;

const auto kNow = std::chrono::sys_time<std::chrono::microseconds>(1'800'000'000s);
const Screen kFile{.width = std::nullopt, .now = kNow};

Screen terminal(std::size_t width) {
    return {.width = width, .now = kNow};
}

Listing sample() {
    return {
        .columns =
            {{"EVENT", "/ref"},
             {"WRITTEN", "/created_at", Shown::ago},
             {"COUNT", "/events/value", Shown::number},
             {"KEY", "/key"}},
        .rows =
            {Json{
                 {"ref", "7.12"},
                 {"created_at", "2027-01-15T07:57:00Z"},
                 {"events", {{"value", "12431"}, {"exact", true}}},
                 {"key", "a"},
                 {"hidden", 1}
             },
             Json{
                 {"ref", "10.13"},
                 {"created_at", nullptr},
                 {"events", {{"value", "2"}, {"exact", true}}},
                 {"key", "a key, with \"quotes\""},
                 {"hidden", 2}
             }}
    };
}

TEST(OutputTest, ATableAlignsItsColumnsAndShowsWhatIsNotThereAsADash) {
    EXPECT_EQ(
        render(sample(), Format::table, kFile),
        "EVENT  WRITTEN     COUNT  KEY\n"
        "7.12   3 min ago  12,431  a\n"
        "10.13  -               2  a key, with \"quotes\"\n"
    );
}

TEST(OutputTest, ATableIsAsWideAsTheTerminalAtMost) {
    auto listing = sample();
    listing.rows[0]["key"] = std::string(300, 'x') + "é";
    for (const std::size_t width : {60U, 100U, 200U}) {
        const auto text = render(listing, Format::table, terminal(width));
        EXPECT_EQ(
            columns_of(text.substr(0, text.find("\n10.13")).substr(text.find('\n') + 1)), width
        );
        EXPECT_NE(text.find("x…\n"), std::string::npos) << text;
    }
    EXPECT_NE(render(listing, Format::table, kFile).find("xxé\n"), std::string::npos);
}

TEST(OutputTest, ATableThatDoesNotFitStandsUpright) {
    const auto text = render(sample(), Format::table, terminal(20));
    EXPECT_TRUE(text.starts_with("EVENT    7.12\nWRITTEN  3 min ago\n")) << text;
    EXPECT_NE(text.find("\n\nEVENT    10.13\n"), std::string::npos) << text;
}

TEST(OutputTest, JsonIsOneDocumentWithAllThatIsKnown) {
    const auto json = Json::parse(render(sample(), Format::json, kFile));
    EXPECT_EQ(json, Json(sample().rows));
    Listing nothing{.columns = {{"EVENT", "/ref"}}};
    EXPECT_EQ(render(nothing, Format::json, kFile), "[]\n");
    EXPECT_EQ(render(nothing, Format::ndjson, kFile), "");
    EXPECT_EQ(render(nothing, Format::csv, kFile), "ref\n");
    EXPECT_EQ(render(nothing, Format::table, kFile), "");
    Listing one{
        .columns = {{"event", "/ref"}}, .rows = {Json{{"ref", "7.1"}, {"n", 2}}}, .is_one = true
    };
    EXPECT_EQ(Json::parse(render(one, Format::json, kFile)), one.rows.front());
    EXPECT_EQ(render(one, Format::table, kFile), "event  7.1\n");
}

TEST(OutputTest, NdjsonIsALineForEach) {
    const auto text = render(sample(), Format::ndjson, kFile);
    EXPECT_EQ(std::ranges::count(text, '\n'), 2);
    EXPECT_EQ(Json::parse(text.substr(0, text.find('\n'))), sample().rows[0]);
}

TEST(OutputTest, CsvHasExactValuesUnderTheirNamesInJson) {
    EXPECT_EQ(
        render(sample(), Format::csv, kFile),
        "ref,created_at,events.value,key\n"
        "7.12,2027-01-15T07:57:00Z,12431,a\n"
        "10.13,-,2,\"a key, with \"\"quotes\"\"\"\n"
    );
}

TEST(OutputTest, NothingThatATerminalActsOnIsPrinted) {
    const std::string hostile =
        "a\x1b[2J\r\nb\t\x7f\xc2\x9b\xe2\x80\xae\xf3\xa0\x81\x81\xff"
        "é";
    const std::string shown = R"(a\x1b[2J\r\nb\t\x7f\u{9b}\u{202e}\u{e0041}\xff)"
                              "é";
    EXPECT_EQ(visible(hostile), shown);
    const Listing listing{.columns = {{"KEY", "/key"}}, .rows = {Json{{"key", hostile}}}};
    EXPECT_EQ(render(listing, Format::table, kFile), "KEY\n" + shown + "\n");
    EXPECT_EQ(render(listing, Format::csv, terminal(200)), "key\n" + shown + "\n");
    for (const auto format : {Format::json, Format::ndjson}) {
        const auto text = render(listing, format, kFile);
        auto lines = text;
        std::erase(lines, '\n');
        EXPECT_EQ(visible(lines), lines) << text;
        const auto key =
            Json::parse(text).is_array() ? Json::parse(text)[0]["key"] : Json::parse(text)["key"];
        // What is no UTF-8 cannot be written in JSON.
        EXPECT_EQ(
            key,
            hostile.substr(0, hostile.find('\xff')) +
                "\xef\xbf\xbd"
                "é"
        );
    }
}

TEST(OutputTest, WidthsAreThoseOfATerminal) {
    EXPECT_EQ(columns_of("São"), 3U);
    EXPECT_EQ(columns_of("注文"), 4U);
    EXPECT_EQ(columns_of("e\xcc\x81"), 1U);
}

TEST(OutputTest, TimesAreToldAsSpansInBothDirections) {
    const auto shown = [](const char* time) {
        const Listing listing{
            .columns = {{"T", "/t", Shown::ago}},
            .rows = {Json{{"t", time}, {"x", 0}}},
            .is_one = true
        };
        return render(listing, Format::table, kFile);
    };
    EXPECT_EQ(shown("2027-01-15T08:00:00Z"), "T  just now\n");
    EXPECT_EQ(shown("2027-01-15T07:59:18Z"), "T  42 s ago\n");
    EXPECT_EQ(shown("2027-01-15T08:00:10Z"), "T  in 10 s\n");
    EXPECT_EQ(shown("2027-01-13T05:00:00Z"), "T  2 days 3 h ago\n");
}

TEST(OutputTest, SpansHaveAUnit) {
    EXPECT_EQ(parse_span("500ms"), 500ms);
    EXPECT_EQ(parse_span("90s"), 90s);
    EXPECT_EQ(parse_span("10m"), 10min);
    EXPECT_EQ(parse_span("2h"), 2h);
    EXPECT_EQ(parse_span("7d"), 168h);
    for (const auto* wrong :
         {"",
          "s",
          "10",
          "-1s",
          "1.5h",
          "1 h",
          "1hour",
          "99999999999999999999s",
          "9223372036854775807d"})
        EXPECT_FALSE(parse_span(wrong)) << wrong;
}

}  // namespace
}  // namespace txstream::cli
