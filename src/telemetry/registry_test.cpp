#include "telemetry/registry.hpp"

#include "telemetry/log.hpp"
#include "telemetry/process_metrics.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <limits>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace txstream::telemetry {
namespace {

constexpr std::array<double, 3> kBounds{0.5, 1, 5};

Description about(const char* name) {
    return {name, "What it means.", Reporter::every_process, "", ""};
}

testing::AssertionResult has_line(const std::string& text, const std::string& line) {
    if (("\n" + text).find("\n" + line + "\n") != std::string::npos)
        return testing::AssertionSuccess();
    return testing::AssertionFailure() << "no line \"" << line << "\" in\n" << text;
}

class RegistryTest : public testing::Test {
protected:
    testing::AssertionResult shows(const std::string& line, Exposition form = Exposition::text)
        const {
        return has_line(registry_.expose(form), line);
    }

    Registry registry_;
};

TEST_F(RegistryTest, KnownValuesAreThereFromTheStart) {
    (void)registry_.counters(about("a_total"), {{"x", {"1", "2"}}, {"y", {"3"}}});
    EXPECT_TRUE(shows(R"(a_total{x="1",y="3"} 0)"));
    EXPECT_TRUE(shows(R"(a_total{x="2",y="3"} 0)"));
}

TEST_F(RegistryTest, AValueBeyondTheLimitIsCountedAsOther) {
    const auto family = registry_.counters(about("a_total"), {{"type"}});
    for (std::size_t i = 0; i < kLabelValuesMax + 50; ++i)
        family.at({"type" + std::to_string(i)}).add();
    family.at({"type0"}).add();
    EXPECT_TRUE(shows(R"(a_total{type="other"} 50)"));
    EXPECT_TRUE(shows(R"(a_total{type="type0"} 2)"));
    EXPECT_EQ(registry_.expose().find("\"type200\""), std::string::npos);
}

TEST_F(RegistryTest, AValueHasTheSameNameInEachMetric) {
    const auto first = registry_.counters(about("a_total"), {{"type"}});
    const auto second = registry_.counters(about("b_total"), {{"type"}});
    for (std::size_t i = 0; i < kLabelValuesMax; ++i) first.at({"type" + std::to_string(i)}).add();
    second.at({"late"}).add();
    second.at({"type7"}).add();
    EXPECT_TRUE(shows(R"(b_total{type="other"} 1)"));
    EXPECT_TRUE(shows(R"(b_total{type="type7"} 1)"));
}

TEST_F(RegistryTest, SeriesOfOneMetricAreBoundedInNumberAndNothingGoesUncounted) {
    const auto family = registry_.counters(about("a_total"), {{"topic"}, {"type"}});
    for (int topic = 0; topic < 60; ++topic) {
        for (int type = 0; type < 60; ++type)
            family.at({"t" + std::to_string(topic), "e" + std::to_string(type)}).add();
    }
    std::size_t series = 0;
    double events = 0;
    std::istringstream page(registry_.expose());
    for (std::string line; std::getline(page, line);) {
        if (!line.starts_with("a_total{")) continue;
        ++series;
        events += std::stod(line.substr(line.rfind(' ')));
    }
    EXPECT_EQ(series, kSeriesMax + 1);
    EXPECT_EQ(events, 3600);
}

TEST_F(RegistryTest, ValuesAreBoundedInLengthAtACharacter) {
    const auto family = registry_.counters(about("a_total"), {{"type"}});
    std::string umlauts = "x";  // so that the limit lies inside a character
    while (umlauts.size() < 100'000) umlauts += "\xC3\xA4";
    family.at({umlauts}).add();
    family.at({umlauts + "another end"}).add();
    EXPECT_TRUE(shows("a_total{type=\"" + umlauts.substr(0, kLabelBytesMax - 1) + "\"} 2"));
}

TEST_F(RegistryTest, ValuesThatAreNoTextDoNotSpoilThePage) {
    const auto family = registry_.counters(about("a_total"), {{"type"}});
    family.at({"a\x80z\x01"}).add();
    family.at({"a\"b\\c\nd"}).add();
    for (const auto form : {Exposition::text, Exposition::openmetrics}) {
        EXPECT_TRUE(shows("a_total{type=\"a\xEF\xBF\xBDz\xEF\xBF\xBD\"} 1", form));
        EXPECT_TRUE(shows(R"(a_total{type="a\"b\\c\nd"} 1)", form));
    }
}

TEST_F(RegistryTest, WithdrawnSeriesAreNotShownAndStartAgain) {
    const auto gauge = registry_.gauges(about("a"), {});
    EXPECT_EQ(registry_.expose().find("# TYPE a gauge"), std::string::npos);
    gauge.at({}).set(7);
    EXPECT_TRUE(shows("a 7"));
    gauge.withdraw();
    EXPECT_EQ(registry_.expose().find("# TYPE a gauge"), std::string::npos);
    gauge.at({}).add(1);
    EXPECT_TRUE(shows("a 1"));
}

TEST_F(RegistryTest, OpenMetricsSpellsTheBoundsOfBucketsAsNumbersWithAFraction) {
    const auto histogram = registry_.histogram(about("a_seconds"), kBounds);
    histogram.observe(1);
    histogram.observe(-1);
    histogram.observe(std::numeric_limits<double>::quiet_NaN());
    HistogramBatch<kBounds.size()> batch(kBounds);
    batch.observe(2, 10);
    histogram.add(batch);
    for (const auto form : {Exposition::text, Exposition::openmetrics}) {
        EXPECT_TRUE(shows(R"(a_seconds_bucket{le="0.5"} 2)", form));
        const std::string fraction = form == Exposition::openmetrics ? ".0" : "";
        EXPECT_TRUE(shows("a_seconds_bucket{le=\"1" + fraction + "\"} 3", form));
        EXPECT_TRUE(shows("a_seconds_bucket{le=\"5" + fraction + "\"} 13", form));
        EXPECT_TRUE(shows(R"(a_seconds_bucket{le="+Inf"} 13)", form));
        EXPECT_TRUE(shows("a_seconds_sum 21", form));
    }
}

TEST_F(RegistryTest, OpenMetricsNamesFamiliesWithoutTotalTellsUnitsAndEnds) {
    registry_.counter(about("a_seconds_total")).add(2.5);
    registry_.gauge(about("b")).set(3);
    const auto page = registry_.expose(Exposition::openmetrics);
    EXPECT_TRUE(has_line(page, "# TYPE a_seconds counter"));
    EXPECT_TRUE(has_line(page, "# UNIT a_seconds seconds"));
    EXPECT_TRUE(has_line(page, "# HELP a_seconds What it means."));
    EXPECT_TRUE(has_line(page, "a_seconds_total 2.5"));
    EXPECT_TRUE(has_line(page, "b 3"));
    EXPECT_TRUE(page.ends_with("\n# EOF\n"));
}

TEST_F(RegistryTest, ACounterThatCatchesUpNeverFalls) {
    const auto counter = registry_.counter(about("a_total"));
    counter.catch_up(5);
    counter.catch_up(3);
    EXPECT_TRUE(shows("a_total 5"));
}

TEST_F(RegistryTest, ThreadsMayCountWhileOthersRead) {
    const auto family = registry_.counters(about("a_total"), {{"type"}});
    const auto gauge = registry_.gauges(about("b"), {});
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 200; ++i) family.at({"A"}).add();
        });
    }
    for (int i = 0; i < 20; ++i) {
        gauge.at({}).set(i);
        (void)registry_.expose();
        gauge.withdraw();
    }
    for (auto& thread : threads) thread.join();
    EXPECT_TRUE(shows(R"(a_total{type="A"} 800)"));
}

TEST_F(RegistryTest, EachProcessTellsItsBuildItsLogAndWhatItUses) {
    const ProcessMetrics process(registry_);
    const auto page = registry_.expose();
    EXPECT_NE(page.find("txstream_build_info{"), std::string::npos);
    EXPECT_TRUE(has_line(page, R"(txstream_log_repeats_total{level="fatal"} 0)"));
    for (const std::string type :
         {"process_cpu_seconds_total counter",
          "process_resident_memory_bytes gauge",
          "process_open_fds gauge",
          "process_start_time_seconds gauge"})
        EXPECT_TRUE(has_line(page, "# TYPE " + type));
}

TEST_F(RegistryTest, LogLinesAreCountedByLevel) {
    const ProcessMetrics process(registry_);
    ASSERT_TRUE(log::setup({.output_path = "/dev/null"}));
    const auto before = log::count(log::Level::warn);
    log::warn("test", "one");
    log::debug("test", "filtered out");
    EXPECT_TRUE(shows("txstream_log_messages_total{level=\"warn\"} " + std::to_string(before + 1)));
    ASSERT_TRUE(log::setup({}));
}

TEST(PreferredTest, OpenMetricsIsForThoseWhoPreferIt) {
    // What Prometheus 2.42 sends.
    EXPECT_EQ(
        preferred("application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;"
                  "version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"),
        Exposition::openmetrics
    );
    EXPECT_EQ(preferred("application/openmetrics-text; version=1.0.0"), Exposition::openmetrics);
    EXPECT_EQ(preferred("application/openmetrics-text"), Exposition::openmetrics);
    for (const char* text :
         {"",
          "*/*",
          "text/plain",
          "text/html,application/xhtml+xml,*/*;q=0.8",
          "application/openmetrics-text;version=0.0.1",
          "application/openmetrics-text;q=0",
          "application/openmetrics-text;q=0.3,text/plain;q=0.9",
          "application/openmetrics-textual",
          ";,;q=,q=1"})
        EXPECT_EQ(preferred(text), Exposition::text) << text;
}

}  // namespace
}  // namespace txstream::telemetry
