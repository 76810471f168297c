#include "telemetry/metrics.hpp"

#include "telemetry/log.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <sstream>
#include <string>
#include <thread>

namespace txstream::telemetry {
namespace {

testing::AssertionResult has_line(const std::string& text, const std::string& line) {
    if (("\n" + text).find("\n" + line + "\n") != std::string::npos) {
        return testing::AssertionSuccess();
    }
    return testing::AssertionFailure() << "no line \"" << line << "\" in\n" << text;
}

TEST(MetricsTest, EveryMetricOfTheOriginalIsThereFromTheStart) {
    Metrics metrics;
    metrics.expect("txstream.events", "OrderCreated");
    metrics.http_request("GET", "/health", 200, 0.001);
    const std::string text = metrics.expose();
    for (const std::string type :
         {"txstream_events_processed_total counter",
          "txstream_events_published_total counter",
          "txstream_events_failed_total counter",
          "txstream_events_retried_total counter",
          "txstream_circuit_breaker_trips_total counter",
          "txstream_event_processing_duration_seconds histogram",
          "txstream_event_publishing_duration_seconds histogram",
          "txstream_retry_delay_duration_seconds histogram",
          "txstream_worker_pool_size gauge",
          "txstream_events_in_queue gauge",
          "txstream_circuit_breaker_state gauge",
          "txstream_active_workers gauge",
          "txstream_build_info gauge",
          "txstream_outbox_oldest_pending_timestamp_seconds gauge",
          "txstream_outbox_last_published_timestamp_seconds gauge",
          "txstream_event_end_to_end_duration_seconds histogram",
          "txstream_dead_letters gauge",
          "txstream_dead_letters_total counter",
          "txstream_lanes_owned gauge",
          "txstream_lane_leases_lost_total counter",
          "txstream_http_request_duration_seconds histogram",
          "txstream_http_requests_in_flight gauge",
          "txstream_http_connections gauge",
          "txstream_http_connections_refused_total counter",
          "txstream_http_timeouts_total counter",
          "txstream_db_pool_connections gauge",
          "txstream_order_batch_size histogram",
          "txstream_orders_waiting gauge",
          "txstream_log_messages_total counter",
          "process_cpu_seconds_total counter",
          "process_resident_memory_bytes gauge",
          "process_open_fds gauge",
          "process_start_time_seconds gauge"}) {
        EXPECT_TRUE(has_line(text, "# TYPE " + type));
    }
    for (const std::string zero :
         {R"(txstream_events_processed_total{event_type="OrderCreated",status="published"} 0)",
          R"(txstream_events_failed_total{error_type="publish_error",event_type="OrderCreated"} 0)",
          R"(txstream_circuit_breaker_trips_total{from_state="closed",to_state="open"} 0)",
          R"(txstream_dead_letters{event_type="OrderCreated"} 0)",
          R"(txstream_events_in_queue{status="pending"} 0)",
          R"(txstream_log_messages_total{level="fatal"} 0)"}) {
        EXPECT_TRUE(has_line(text, zero));
    }
}

TEST(MetricsTest, APageIsCountedOncePublishedAndOnceProcessed) {
    Metrics metrics;
    PageTally page;
    page.published("t", "A", 0.004, 20);
    page.published("t", "B", 0.5, 0.2);
    page.published("t", "A", 99, 5000);
    EXPECT_EQ(page.events(), 3U);
    metrics.published(page);
    std::string text = metrics.expose();
    EXPECT_TRUE(has_line(text, R"(txstream_events_published_total{event_type="A",topic="t"} 2)"));
    EXPECT_TRUE(has_line(
        text,
        R"(txstream_event_publishing_duration_seconds_bucket{event_type="A",topic="t",le="0.0025"} 0)"
    ));
    EXPECT_TRUE(has_line(
        text,
        R"(txstream_event_publishing_duration_seconds_bucket{event_type="A",topic="t",le="0.005"} 1)"
    ));
    EXPECT_TRUE(has_line(
        text,
        R"(txstream_event_publishing_duration_seconds_bucket{event_type="A",topic="t",le="+Inf"} 2)"
    ));
    EXPECT_TRUE(has_line(text, "txstream_event_end_to_end_duration_seconds_count 3"));
    EXPECT_TRUE(has_line(text, R"(txstream_event_end_to_end_duration_seconds_bucket{le="30"} 2)"));
    EXPECT_EQ(text.find("txstream_events_processed_total{"), std::string::npos);

    metrics.processed(page, 0.3);
    text = metrics.expose();
    EXPECT_TRUE(
        has_line(text, R"(txstream_events_processed_total{event_type="A",status="published"} 2)")
    );
    EXPECT_TRUE(
        has_line(text, R"(txstream_event_processing_duration_seconds_count{event_type="A"} 2)")
    );
    EXPECT_TRUE(
        has_line(text, R"(txstream_event_processing_duration_seconds_count{event_type="batch"} 1)")
    );
}

TEST(MetricsTest, AClearedTallyCountsNothingTwice) {
    Metrics metrics;
    PageTally page;
    page.published("t", "A", 0.004, 20);
    metrics.published(page);
    page.clear();
    EXPECT_EQ(page.events(), 0U);
    metrics.published(page);
    page.published("t", "B", 0.004, 20);
    metrics.published(page);
    const std::string text = metrics.expose();
    EXPECT_TRUE(has_line(text, R"(txstream_events_published_total{event_type="A",topic="t"} 1)"));
    EXPECT_TRUE(has_line(text, R"(txstream_events_published_total{event_type="B",topic="t"} 1)"));
    EXPECT_TRUE(has_line(text, "txstream_event_end_to_end_duration_seconds_count 2"));
}

TEST(MetricsTest, EventTypesBeyondTheLimitShareOneSeries) {
    Metrics metrics;
    for (std::size_t i = 0; i < kLabelValuesMax + 50; ++i) {
        metrics.failed(Failure::publish_error, "type" + std::to_string(i));
    }
    metrics.failed(Failure::publish_error, "type0");
    const std::string text = metrics.expose();
    EXPECT_TRUE(has_line(
        text, R"(txstream_events_failed_total{error_type="publish_error",event_type="other"} 50)"
    ));
    EXPECT_TRUE(has_line(
        text, R"(txstream_events_failed_total{error_type="publish_error",event_type="type0"} 2)"
    ));
    EXPECT_EQ(text.find("\"type200\""), std::string::npos);
}

TEST(MetricsTest, RetriesAndMethodsHaveBoundedLabels) {
    Metrics metrics;
    metrics.retried(10, "A");
    metrics.retried(11, "A");
    metrics.retried(4'000'000'000U, "A");
    metrics.http_request("BREW", "/pot", 418, 0.1);
    const std::string text = metrics.expose();
    EXPECT_TRUE(
        has_line(text, R"(txstream_events_retried_total{event_type="A",retry_count="10"} 1)")
    );
    EXPECT_TRUE(
        has_line(text, R"(txstream_events_retried_total{event_type="A",retry_count="10+"} 2)")
    );
    EXPECT_TRUE(has_line(
        text,
        R"(txstream_http_request_duration_seconds_count{method="other",route="/pot",status="418"} 1)"
    ));
}

TEST(MetricsTest, DeadLettersAreAWholePictureEachTime) {
    Metrics metrics;
    using Counts = std::vector<std::pair<std::string, std::uint64_t>>;
    metrics.dead_letters(Counts{{"A", 3}, {"B", 1}});
    metrics.dead_letters(Counts{{"B", 2}});
    const std::string text = metrics.expose();
    EXPECT_TRUE(has_line(text, R"(txstream_dead_letters{event_type="A"} 0)"));
    EXPECT_TRUE(has_line(text, R"(txstream_dead_letters{event_type="B"} 2)"));
}

TEST(MetricsTest, LogLinesAreCountedByLevel) {
    Metrics metrics;
    ASSERT_TRUE(log::setup({.output_path = "/dev/null"}));
    const auto before = log::count(log::Level::warn);
    log::warn("test", "one");
    log::debug("test", "filtered out");
    EXPECT_TRUE(has_line(
        metrics.expose(),
        "txstream_log_messages_total{level=\"warn\"} " + std::to_string(before + 1)
    ));
    ASSERT_TRUE(log::setup({}));
}

TEST(MetricsTest, LabelValuesAreBoundedInLength) {
    Metrics metrics;
    std::string umlauts = "x";  // so that the limit lies inside a character
    while (umlauts.size() < 100'000) umlauts += "\xC3\xA4";
    metrics.failed(Failure::publish_error, umlauts);
    metrics.failed(Failure::publish_error, umlauts + "another end");
    metrics.expect(std::string(100'000, 't'), "type");
    const auto page = metrics.expose();
    EXPECT_LT(page.size(), 40'000U);
    const auto kept = umlauts.substr(0, kLabelBytesMax - 1);
    EXPECT_TRUE(has_line(
        page,
        "txstream_events_failed_total{error_type=\"publish_error\",event_type=\"" + kept + "\"} 2"
    ));
}

TEST(MetricsTest, PairsOfTopicAndEventTypeAreBoundedInNumber) {
    Metrics metrics;
    for (int topic = 0; topic < 60; ++topic) {
        PageTally page;
        for (int type = 0; type < 60; ++type)
            page.published("t" + std::to_string(topic), "e" + std::to_string(type), 0.001, 0.001);
        metrics.published(page);
    }
    std::size_t series = 0;
    double events = 0;
    std::istringstream page(metrics.expose());
    for (std::string line; std::getline(page, line);) {
        if (!line.starts_with("txstream_events_published_total{")) continue;
        ++series;
        events += std::stod(line.substr(line.rfind(' ')));
    }
    EXPECT_EQ(series, kLabelPairsMax + 1);
    EXPECT_EQ(events, 3600);
}

TEST(MetricsTest, LabelValuesThatAreNoTextDoNotSpoilThePage) {
    Metrics metrics;
    metrics.failed(Failure::publish_error, "a\x80z\x01");
    EXPECT_NE(
        metrics.expose().find("event_type=\"a\xEF\xBF\xBDz\xEF\xBF\xBD\""), std::string::npos
    );
}

TEST(MetricsTest, LabelValuesAreEscaped) {
    Metrics metrics;
    metrics.failed(Failure::publish_error, "a\"b\\c\nd");
    EXPECT_NE(metrics.expose().find(R"(event_type="a\"b\\c\nd")"), std::string::npos);
}

TEST(MetricsTest, ThreadsMayCountWhileOthersRead) {
    Metrics metrics;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&metrics] {
            PageTally page;
            for (int i = 0; i < 200; ++i) {
                page.clear();
                page.published("t", "A", 0.01, 0.02);
                metrics.published(page);
                metrics.http_request("GET", "/", 200, 0.001);
            }
        });
    }
    for (int i = 0; i < 20; ++i) (void)metrics.expose().size();
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(has_line(
        metrics.expose(), R"(txstream_events_published_total{event_type="A",topic="t"} 800)"
    ));
}

TEST(HistogramBatchTest, ABoundBelongsToItsBucketAndNegativeTimesAreZero) {
    static constexpr std::array<double, 2> kBounds{1, 2};
    HistogramBatch<2> batch(kBounds);
    batch.observe(1);
    batch.observe(1.5, 3);
    batch.observe(9);
    batch.observe(-4);
    batch.observe(std::numeric_limits<double>::quiet_NaN());
    EXPECT_EQ(batch.counts()[0], 3);
    EXPECT_EQ(batch.counts()[1], 3);
    EXPECT_EQ(batch.counts()[2], 1);
    EXPECT_DOUBLE_EQ(batch.sum(), 1 + 4.5 + 9);
}

}  // namespace
}  // namespace txstream::telemetry
