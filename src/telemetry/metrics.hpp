#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace txstream::telemetry {

/// Upper bounds in seconds of the buckets for publishing, processing and HTTP.
inline constexpr std::array<double, 17> kFastBuckets{
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10
};
/// For commit → acknowledgement, which an outage may stretch to hours.
inline constexpr std::array<double, 22> kEndToEndBuckets{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                         0.05,   0.075, 0.1,    0.25,  0.5,  0.75,
                                                         1,      2.5,   5,      7.5,   10,   30,
                                                         60,     300,   900,    3600};
/// Orders in a batch.
inline constexpr std::array<double, 8> kBatchBuckets{1, 2, 4, 8, 16, 32, 64, 128};
/// The original's, for the delays of retries.
inline constexpr std::array<double, 8> kRetryDelayBuckets{0.1, 0.5, 1, 2, 5, 10, 30, 60};

/// Label values beyond this many distinct event types (or topics) are counted as "other".
inline constexpr std::size_t kLabelValuesMax = 200;
/// And so are pairs of topic and event type, each of which has a histogram.
inline constexpr std::size_t kLabelPairsMax = 1000;
/// The rest of a longer label value is cut off.
inline constexpr std::size_t kLabelBytesMax = 128;

/// Observations of one histogram, gathered without locks by one owner.
template <std::size_t Bounds>
class HistogramBatch {
public:
    explicit HistogramBatch(const std::array<double, Bounds>& bounds) noexcept : bounds_(&bounds) {}

    void observe(double value, std::uint64_t times = 1) noexcept {
        // Clocks of two machines may disagree; nothing takes less than no time. Also turns NaN to
        // 0.
        if (!(value > 0)) value = 0;
        std::size_t bucket = 0;
        while (bucket < Bounds && value > (*bounds_)[bucket]) ++bucket;
        counts_[bucket] += static_cast<double>(times);
        sum_ += value * static_cast<double>(times);
    }
    /// One count per bucket, the last one beyond all bounds; not cumulative.
    std::span<const double> counts() const noexcept { return counts_; }
    double sum() const noexcept { return sum_; }
    void clear() noexcept {
        counts_.fill(0);
        sum_ = 0;
    }

private:
    const std::array<double, Bounds>* bounds_;
    std::array<double, Bounds + 1> counts_{};
    double sum_ = 0;
};

/// What one page of events did, gathered without locks by its one owner and then given to Metrics
/// in one go. Keep it and clear() it: its memory is reused.
class PageTally {
public:
    PageTally();

    /// Kafka acknowledged an event; both times end at the acknowledgement. Without the second one
    /// the event's age is unknown.
    void published(
        std::string_view topic,
        std::string_view event_type,
        double publishing_seconds,
        std::optional<double> end_to_end_seconds
    );
    std::uint64_t events() const noexcept { return events_; }
    void clear() noexcept;

private:
    friend class Metrics;
    struct Entry {
        std::string topic;
        std::string event_type;
        std::uint64_t count = 0;
        HistogramBatch<kFastBuckets.size()> publishing{kFastBuckets};
    };

    Entry& entry(std::string_view topic, std::string_view event_type);

    std::vector<Entry> entries_;
    std::size_t last_ = 0;  // a page is mostly of one type
    std::uint64_t events_ = 0;
    HistogramBatch<kEndToEndBuckets.size()> end_to_end_{kEndToEndBuckets};
};

/// Label `status` of txstream_events_processed_total, as in the original.
enum class Processed : std::uint8_t {
    published,
    permanently_failed,  ///< parked as a dead letter
};

/// Label `error_type` of txstream_events_failed_total, as in the original.
enum class Failure : std::uint8_t { database_error, lock_error, publish_error, update_error };

/// Label `state` of txstream_db_pool_connections.
struct PoolConnections {
    std::size_t idle = 0;
    std::size_t in_use = 0;
    std::size_t connecting = 0;
    std::size_t waiting = 0;  ///< callers who want one
};

/// Every metric of the process. Thread-safe. Hot paths bring a PageTally; the rest are single
/// calls that cost one short lock.
class Metrics {
public:
    Metrics();
    ~Metrics();
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;

    /// Creates the series of a topic and event type at 0, so that rate() and alerts see the first
    /// event.
    void expect(std::string_view topic, std::string_view event_type);

    // --- events ---------------------------------------------------------------------------------
    /// Kafka acknowledged the page: published_total, publishing and end-to-end durations, last
    /// published timestamp.
    void published(const PageTally& page);
    /// The cursor moved past the page, `seconds` after it was read: processed_total{published},
    /// processing durations (each event, and once "batch").
    void processed(const PageTally& page, double seconds);
    void processed(Processed status, std::string_view event_type, std::uint64_t events = 1);
    void failed(Failure kind, std::string_view event_type, std::uint64_t events = 1);
    /// `retry` counts from 1; beyond 10 it is labelled "10+".
    void retried(unsigned retry, std::string_view event_type, std::uint64_t events = 1);
    void retry_delay(unsigned retry, std::chrono::duration<double> delay);
    /// The true backlog; status is "pending" or "dead_letter".
    void events_in_queue(std::string_view status, std::uint64_t events);
    /// Of the oldest event that is not yet published; 0 when there is none.
    void oldest_pending(double unix_seconds);

    // --- dead letters ---------------------------------------------------------------------------
    void dead_lettered(std::uint64_t events = 1);
    /// How many there are, by event type: the whole picture; types not in it become 0.
    void dead_letters(std::span<const std::pair<std::string, std::uint64_t>> by_event_type);

    // --- relay ----------------------------------------------------------------------------------
    void breaker_moved(std::string_view from_state, std::string_view to_state);
    /// A way in which events are not delivered (relay/blockages.hpp has the reasons).
    void delivery_blocked(std::string_view reason, bool is_blocked);
    void breaker_state(int state);  ///< 0 closed, 1 half-open, 2 open
    void worker_pool_size(std::size_t workers);
    void active_workers(std::size_t workers);  ///< those that hold lanes
    void lanes_owned(std::size_t lanes);
    void lane_lease_lost(std::uint64_t lanes = 1);

    // --- orders, HTTP and PostgreSQL
    // --------------------------------------------------------------------
    /// `route` is the template ("/api/v1/orders/{id}"), never the path of a request.
    void http_request(std::string_view method, std::string_view route, int status, double seconds);
    void http_in_flight(int change);    ///< +1 when a request is there, -1 when it is answered
    void http_connections(int change);  ///< +1 when one comes, -1 when it has gone
    void http_connection_refused();
    void http_timed_out();
    void http_buffered(int change);  ///< bytes; up and down
    void http_broken_off();
    void order_batch(std::size_t orders);  ///< as many go to the database in one statement
    void orders_waiting(std::size_t waiting);
    void db_pool(const PoolConnections& connections);

    /// Prometheus text format 0.0.4, with what the process itself uses.
    std::string expose() const;
    static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace txstream::telemetry
