#pragma once

#include "policy/circuit_breaker.hpp"
#include "relay/blockages.hpp"
#include "relay/ports.hpp"
#include "telemetry/registry.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::relay {

/// What one page of events did, gathered without locks by its one owner and then given to Metrics
/// in one go. Keep it and clear() it: its memory is reused.
class PageTally {
public:
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
        telemetry::HistogramBatch<telemetry::kFastBuckets.size()> publishing{telemetry::kFastBuckets
        };
    };

    Entry& entry(std::string_view topic, std::string_view event_type);

    std::vector<Entry> entries_;
    std::size_t last_ = 0;  // a page is mostly of one type
    std::uint64_t events_ = 0;
    telemetry::HistogramBatch<telemetry::kEndToEndBuckets.size()> end_to_end_{
        telemetry::kEndToEndBuckets
    };
};

/// Label `status` of txstream_events_processed_total, as in the earlier system.
enum class Processed : std::uint8_t {
    published,
    permanently_failed,  ///< parked as a dead letter
};

/// Label `error_type` of txstream_events_failed_total, as in the earlier system.
enum class Failure : std::uint8_t { database_error, lock_error, publish_error, update_error };

/// What becomes of a record that was handed to Kafka and is sent again: label `outcome` of
/// txstream_records_resent_total.
enum class Resent : std::uint8_t {
    unknown,       ///< Kafka may have it or not
    acknowledged,  ///< Kafka has it, so there will be two
};

/// How a worker lost lanes that it had: label `reason` of txstream_leases_lost_total and
/// txstream_lanes_lost_total.
enum class Lost : std::uint8_t {
    lease_expired,  ///< it could not prolong its lease in time, by its own clock
    taken_over,     ///< PostgreSQL says that they are another's: it was fenced
    session_lost,   ///< the session under which they were claimed has ended
};

std::string_view to_string(Lost reason);

/// Label `direction` of txstream_lanes_handed_over_total.
enum class HandOver : std::uint8_t { given, taken };

/// What the relay of this process counts. Thread-safe. Hot paths bring a PageTally; the rest are
/// single calls that cost one short lock.
class Metrics {
public:
    explicit Metrics(telemetry::Registry& registry);

    /// Creates the series of a topic and event type at 0, so that rate() and alerts see the first
    /// event.
    void expect(std::string_view topic, std::string_view event_type) const;

    /// Kafka acknowledged the page: published_total, publishing and end-to-end durations, last
    /// published timestamp.
    void published(const PageTally& page) const;
    /// The cursor moved past the page, `seconds` after it was read: processed_total{published},
    /// processing durations (each event, and once "batch").
    void processed(const PageTally& page, double seconds) const;
    void failed(Failure kind, std::string_view event_type, std::uint64_t events = 1) const;
    /// `retry` counts from 1; beyond 10 it is labelled "10+".
    void retried(unsigned retry, std::string_view event_type, std::uint64_t events = 1) const;
    void retry_delay(unsigned retry, std::chrono::duration<double> delay) const;
    /// `reason` is a header's word for it (delays.hpp).
    void resent(Resent outcome, std::string_view reason, std::uint64_t records) const;
    void sent(Path path, std::uint64_t records) const;
    /// A worker lost so many lanes in one go.
    void lost(Lost reason, std::size_t lanes) const;
    /// Lanes went from one worker that lives to another that has fewer.
    void handed_over(HandOver direction, std::size_t lanes) const;
    /// How long this process may publish before a lease has to be prolonged; nothing: it has none.
    void lease_remaining(std::optional<std::chrono::duration<double>> time) const;
    /// Dead letters that were sent: so many arrived, so many were parked again.
    void replayed(std::uint64_t arrived, std::uint64_t parked) const;
    /// To the topic for dead letters.
    void copied(std::uint64_t arrived, std::uint64_t left) const;
    void copy_failed() const;
    void parked(std::string_view error_type, std::string_view topic, std::string_view event_type)
        const;

    void delivery_blocked(Blockage reason, bool is_blocked) const;
    void breaker_moved(policy::BreakerState from, policy::BreakerState to) const;

    /// Events, since the process started.
    struct Totals {
        std::uint64_t published = 0;
        std::uint64_t failed = 0;
        std::uint64_t parked = 0;
    };
    Totals totals() const noexcept;
    /// The last time that a worker lost lanes.
    struct Loss {
        std::chrono::system_clock::time_point at;
        Lost how;
        std::uint64_t times = 0;  ///< since the process started, this one among them
    };
    std::optional<Loss> last_loss() const;
    /// From commit to acknowledgement, in the buckets of telemetry::kEndToEndBuckets and one beyond
    /// them; not cumulative.
    std::vector<double> end_to_end_counts() const;

private:
    /// The same as some of the series, which are many and can only be read as text.
    struct Counted {
        std::atomic<std::uint64_t> published{0};
        std::atomic<std::uint64_t> failed{0};
        std::atomic<std::uint64_t> parked{0};
    };

    mutable Counted counted_;
    mutable std::mutex mutex_;
    mutable std::optional<Loss> last_loss_;  // guarded by mutex_
    telemetry::Family<telemetry::Counter> processed_;
    telemetry::Family<telemetry::Counter> published_;
    telemetry::Family<telemetry::Counter> failed_;
    telemetry::Family<telemetry::Counter> retried_;
    telemetry::Family<telemetry::Counter> breaker_trips_;
    telemetry::Family<telemetry::Histogram> processing_;
    telemetry::Family<telemetry::Histogram> publishing_;
    telemetry::Family<telemetry::Histogram> retry_delay_;
    telemetry::Gauge breaker_state_;
    telemetry::Gauge last_published_;
    telemetry::Histogram end_to_end_;
    telemetry::Family<telemetry::Counter> dead_lettered_;
    telemetry::Family<telemetry::Counter> replayed_;
    telemetry::Family<telemetry::Counter> copied_;
    telemetry::Family<telemetry::Counter> resent_;
    telemetry::Family<telemetry::Counter> sent_;
    telemetry::Family<telemetry::Counter> leases_lost_;
    telemetry::Family<telemetry::Counter> lanes_lost_;
    telemetry::Family<telemetry::Counter> lanes_handed_over_;
    telemetry::Family<telemetry::Gauge> lease_remaining_;
    telemetry::Family<telemetry::Gauge> delivery_blocked_;

public:
    telemetry::Gauge worker_pool_size;
    telemetry::Gauge active_workers;  ///< those that hold lanes
    telemetry::Gauge lanes_owned;
    telemetry::Gauge lanes_target;
    telemetry::Counter lanes_claimed;
    telemetry::Counter lanes_released;
    telemetry::Gauge lease_seconds;
    telemetry::Counter lane_busy_seconds;
    telemetry::Gauge in_flight_events;
    telemetry::Gauge in_flight_bytes;
    telemetry::Gauge events_aside;
    telemetry::Gauge keys_aside;
    telemetry::Gauge events_waiting_for_topic;
    telemetry::Gauge careful_topics;
    telemetry::Gauge closed_topics;
    telemetry::Counter reader_polls;
    telemetry::Counter reader_pages;
    telemetry::Counter reader_events;
    telemetry::Counter reader_bytes;
    telemetry::Gauge reader_lag_events;
    telemetry::Gauge reader_lag_seconds;
};

}  // namespace txstream::relay
