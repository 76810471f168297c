#include "relay/metrics.hpp"

#include <gtest/gtest.h>

#include <string>

namespace txstream::relay {
namespace {

class RelayMetricsTest : public testing::Test {
protected:
    testing::AssertionResult shows(const std::string& line) const {
        const auto page = registry_.expose();
        if (("\n" + page).find("\n" + line + "\n") != std::string::npos)
            return testing::AssertionSuccess();
        return testing::AssertionFailure() << "no line \"" << line << "\" in\n" << page;
    }

    telemetry::Registry registry_;
    Metrics metrics_{registry_};
};

TEST_F(RelayMetricsTest, WhatIsExpectedIsThereAtZero) {
    metrics_.expect("t", "A");
    for (const char* line :
         {R"(txstream_events_processed_total{event_type="A",status="published"} 0)",
          R"(txstream_events_processed_total{event_type="A",status="permanently_failed"} 0)",
          R"(txstream_events_published_total{event_type="A",topic="t"} 0)",
          R"(txstream_events_failed_total{error_type="publish_error",event_type="A"} 0)",
          R"(txstream_events_retried_total{event_type="A",retry_count="1"} 0)",
          R"(txstream_circuit_breaker_trips_total{from_state="closed",to_state="open"} 0)",
          R"(txstream_event_processing_duration_seconds_count{event_type="batch"} 0)",
          R"(txstream_event_publishing_duration_seconds_count{event_type="A",topic="t"} 0)",
          R"(txstream_retry_delay_duration_seconds_count{retry_attempt="1"} 0)",
          R"(txstream_records_resent_total{outcome="acknowledged",reason="lane_lost"} 0)",
          R"(txstream_records_resent_total{outcome="unknown",reason="waited_too_long"} 0)",
          R"(txstream_records_sent_total{path="careful"} 0)",
          R"(txstream_leases_lost_total{reason="taken_over"} 0)",
          R"(txstream_lanes_lost_total{reason="session_lost"} 0)",
          R"(txstream_delivery_blocked{reason="kafka_unavailable"} 0)",
          "txstream_worker_pool_size 0",
          "txstream_active_workers 0",
          "txstream_circuit_breaker_state 0"})
        EXPECT_TRUE(shows(line));
}

TEST_F(RelayMetricsTest, APageIsCountedOncePublishedAndOnceProcessed) {
    PageTally page;
    page.published("t", "A", 0.004, 20);
    page.published("t", "B", 0.5, 0.2);
    page.published("t", "A", 99, 5000);
    EXPECT_EQ(page.events(), 3U);
    metrics_.published(page);
    EXPECT_TRUE(shows(R"(txstream_events_published_total{event_type="A",topic="t"} 2)"));
    EXPECT_TRUE(shows(
        R"(txstream_event_publishing_duration_seconds_bucket{event_type="A",topic="t",le="0.0025"} 0)"
    ));
    EXPECT_TRUE(shows(
        R"(txstream_event_publishing_duration_seconds_bucket{event_type="A",topic="t",le="0.005"} 1)"
    ));
    EXPECT_TRUE(shows("txstream_event_end_to_end_duration_seconds_count 3"));
    EXPECT_TRUE(shows(R"(txstream_event_end_to_end_duration_seconds_bucket{le="30"} 2)"));
    EXPECT_EQ(registry_.expose().find("txstream_events_processed_total{"), std::string::npos);

    metrics_.processed(page, 0.3);
    EXPECT_TRUE(shows(R"(txstream_events_processed_total{event_type="A",status="published"} 2)"));
    EXPECT_TRUE(shows(R"(txstream_event_processing_duration_seconds_count{event_type="A"} 2)"));
    EXPECT_TRUE(shows(R"(txstream_event_processing_duration_seconds_count{event_type="batch"} 1)"));
}

TEST_F(RelayMetricsTest, AClearedTallyCountsNothingTwice) {
    PageTally page;
    page.published("t", "A", 0.004, 20);
    metrics_.published(page);
    page.clear();
    EXPECT_EQ(page.events(), 0U);
    metrics_.published(page);
    page.published("t", "B", 0.004, 20);
    metrics_.published(page);
    EXPECT_TRUE(shows(R"(txstream_events_published_total{event_type="A",topic="t"} 1)"));
    EXPECT_TRUE(shows(R"(txstream_events_published_total{event_type="B",topic="t"} 1)"));
    EXPECT_TRUE(shows("txstream_event_end_to_end_duration_seconds_count 2"));
}

TEST_F(RelayMetricsTest, RetriesHaveFewLabels) {
    for (const unsigned retry : {10U, 11U, 4'000'000'000U}) metrics_.retried(retry, "A");
    EXPECT_TRUE(shows(R"(txstream_events_retried_total{event_type="A",retry_count="10"} 1)"));
    EXPECT_TRUE(shows(R"(txstream_events_retried_total{event_type="A",retry_count="10+"} 2)"));
}

TEST_F(RelayMetricsTest, AParkedEventIsCountedByClassAndTopic) {
    metrics_.parked("MSG_SIZE_TOO_LARGE", "t", "A");
    EXPECT_TRUE(shows(R"(txstream_dead_letters_total{error_type="MSG_SIZE_TOO_LARGE",topic="t"} 1)")
    );
    EXPECT_TRUE(
        shows(R"(txstream_events_processed_total{event_type="A",status="permanently_failed"} 1)")
    );
}

TEST_F(RelayMetricsTest, TheBreakersStateFollowsItsMoves) {
    using enum policy::BreakerState;
    metrics_.breaker_moved(closed, open);
    EXPECT_TRUE(shows("txstream_circuit_breaker_state 2"));
    EXPECT_TRUE(
        shows(R"(txstream_circuit_breaker_trips_total{from_state="closed",to_state="open"} 1)")
    );
}

TEST_F(RelayMetricsTest, ALeaseHasNoTimeWhereThereIsNone) {
    using namespace std::chrono_literals;
    metrics_.lease_remaining(6500ms);
    EXPECT_TRUE(shows("txstream_lease_remaining_seconds 6.5"));
    metrics_.lease_remaining(-2s);
    EXPECT_TRUE(shows("txstream_lease_remaining_seconds 0")) << "it is over";
    metrics_.lease_remaining(std::nullopt);
    EXPECT_EQ(registry_.expose().find("\ntxstream_lease_remaining_seconds "), std::string::npos);
}

}  // namespace
}  // namespace txstream::relay
