#include "telemetry/metrics.hpp"

#include "base/version.hpp"
#include "telemetry/detail/labels.hpp"
#include "telemetry/detail/process_stats.hpp"
#include "telemetry/log.hpp"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <initializer_list>
#include <map>
#include <mutex>
#include <unordered_map>

namespace txstream::telemetry {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using Buckets = std::vector<double>;

template <std::size_t N>
Buckets buckets(const std::array<double, N>& bounds) {
    return {bounds.begin(), bounds.end()};
}

std::string_view to_string(Processed status) {
    switch (status) {
        case Processed::published:
            return "published";
        case Processed::permanently_failed:
            return "permanently_failed";
    }
    return "unknown";
}

std::string_view to_string(Failure kind) {
    switch (kind) {
        case Failure::database_error:
            return "database_error";
        case Failure::lock_error:
            return "lock_error";
        case Failure::publish_error:
            return "publish_error";
        case Failure::update_error:
            return "update_error";
    }
    return "unknown";
}

struct TopicAndType {
    std::string_view topic;
    std::string_view type;
};

struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const noexcept {
        return std::hash<std::string_view>{}(key);
    }
};

// A family with the handles of its series: prometheus-cpp hashes a map of strings at each Add().
// Not thread-safe.
template <class Metric>
class Series {
public:
    Series(
        prometheus::Registry& registry,
        const char* name,
        const char* help,
        std::vector<std::string> labels,
        Buckets bounds = {}
    )
        : family_(builder().Name(name).Help(help).Register(registry)),
          labels_(std::move(labels)),
          bounds_(std::move(bounds)) {
        if (labels_.empty()) at({});
    }

    Metric& at(std::initializer_list<std::string_view> values) {
        key_.clear();
        for (const std::string_view value : values) {
            key_ += value;
            key_ += '\0';
        }
        if (const auto found = handles_.find(std::string_view(key_)); found != handles_.end()) {
            return *found->second;
        }
        prometheus::Labels labels;
        auto label = labels_.begin();
        for (const std::string_view value : values) labels.emplace(*label++, value);
        Metric& metric = add(labels);
        handles_.emplace(key_, &metric);
        return metric;
    }

    template <class Change>
    void each(Change change) {
        for (auto& [key, metric] : handles_) change(*metric);
    }

private:
    static auto builder() {
        if constexpr (std::is_same_v<Metric, Counter>) {
            return prometheus::BuildCounter();
        } else if constexpr (std::is_same_v<Metric, Gauge>) {
            return prometheus::BuildGauge();
        } else {
            return prometheus::BuildHistogram();
        }
    }

    Metric& add(const prometheus::Labels& labels) {
        if constexpr (std::is_same_v<Metric, Histogram>) {
            return family_.Add(labels, bounds_);
        } else {
            return family_.Add(labels);
        }
    }

    Family<Metric>& family_;
    std::vector<std::string> labels_;
    Buckets bounds_;
    std::string key_;
    std::unordered_map<std::string, Metric*, KeyHash, std::equal_to<>> handles_;
};

template <std::size_t N>
void flush(const HistogramBatch<N>& batch, Histogram& into) {
    const auto counts = batch.counts();
    into.ObserveMultiple({counts.begin(), counts.end()}, batch.sum());
}

double to_double(std::uint64_t n) {
    return static_cast<double>(n);
}

void catch_up(Counter& counter, std::uint64_t total) {
    const double grown = to_double(total) - counter.Value();
    if (grown > 0) counter.Increment(grown);
}

}  // namespace

PageTally::PageTally() = default;

PageTally::Entry& PageTally::entry(std::string_view topic, std::string_view event_type) {
    const auto fits = [&](const Entry& e) {
        return e.event_type == event_type && e.topic == topic;
    };
    if (last_ < entries_.size() && fits(entries_[last_])) return entries_[last_];
    for (last_ = 0; last_ < entries_.size(); ++last_) {
        if (fits(entries_[last_])) return entries_[last_];
    }
    return entries_.emplace_back(Entry{std::string(topic), std::string(event_type)});
}

void PageTally::published(
    std::string_view topic,
    std::string_view event_type,
    double publishing_seconds,
    std::optional<double> end_to_end_seconds
) {
    Entry& e = entry(topic, event_type);
    ++e.count;
    e.publishing.observe(publishing_seconds);
    if (end_to_end_seconds) end_to_end_.observe(*end_to_end_seconds);
    ++events_;
}

void PageTally::clear() noexcept {
    // Types that come by chance must not pile up in a tally that lives for years.
    constexpr std::size_t kEntriesKept = 16;
    if (entries_.size() > kEntriesKept) entries_.clear();
    for (Entry& e : entries_) {
        e.count = 0;
        e.publishing.clear();
    }
    end_to_end_.clear();
    events_ = 0;
}

struct Metrics::Impl {
    mutable std::mutex mutex;  // guards all below
    prometheus::Registry registry;
    LabelGuard event_types{kLabelValuesMax};
    LabelGuard topics{kLabelValuesMax};
    LabelGuard pairs{kLabelPairsMax};
    std::string pair;  // reused

    Series<Counter> processed{
        registry,
        "txstream_events_processed_total",
        "Events that left the outbox, by how.",
        {"status", "event_type"}
    };
    Series<Counter> published{
        registry,
        "txstream_events_published_total",
        "Events that Kafka acknowledged.",
        {"topic", "event_type"}
    };
    Series<Counter> failed{
        registry,
        "txstream_events_failed_total",
        "Tries that failed, counted per event.",
        {"error_type", "event_type"}
    };
    Series<Counter> retried{
        registry,
        "txstream_events_retried_total",
        "Events tried again, by the number of the retry.",
        {"retry_count", "event_type"}
    };
    Series<Counter> breaker_trips{
        registry,
        "txstream_circuit_breaker_trips_total",
        "State changes of the circuit breaker.",
        {"from_state", "to_state"}
    };
    Series<Histogram> processing{
        registry,
        "txstream_event_processing_duration_seconds",
        "From reading an event to its cursor being moved; event_type batch is the page as a whole.",
        {"event_type"},
        buckets(kFastBuckets)
    };
    Series<Histogram> publishing{
        registry,
        "txstream_event_publishing_duration_seconds",
        "From handing an event to the producer to Kafka's acknowledgement.",
        {"topic", "event_type"},
        buckets(kFastBuckets)
    };
    Series<Histogram> retry_delay{
        registry,
        "txstream_retry_delay_duration_seconds",
        "Pauses before a retry.",
        {"retry_attempt"},
        buckets(kRetryDelayBuckets)
    };
    Series<Gauge> worker_pool_size{
        registry, "txstream_worker_pool_size", "Workers that may publish lanes in parallel.", {}
    };
    Series<Gauge> active_workers{
        registry, "txstream_active_workers", "Workers that hold lanes and publish their events.", {}
    };
    Series<Gauge> in_queue{
        registry,
        "txstream_events_in_queue",
        "Events that wait in the outbox: the true backlog.",
        {"status"}
    };
    Series<Gauge> breaker_state{
        registry, "txstream_circuit_breaker_state", "0 closed, 1 half-open, 2 open.", {}
    };

    Series<Gauge> build_info{
        registry,
        "txstream_build_info",
        "Always 1; what is running stands in the labels.",
        {"version", "revision", "compiler"}
    };
    Series<Gauge> oldest_pending{
        registry,
        "txstream_outbox_oldest_pending_timestamp_seconds",
        "Unix time of the oldest event that is not published yet; 0 when there is none.",
        {}
    };
    Series<Gauge> last_published{
        registry,
        "txstream_outbox_last_published_timestamp_seconds",
        "Unix time of the latest acknowledgement by Kafka; 0 before the first.",
        {}
    };
    Series<Histogram> end_to_end{
        registry,
        "txstream_event_end_to_end_duration_seconds",
        "From the event's creation in its transaction to Kafka's acknowledgement.",
        {},
        buckets(kEndToEndBuckets)
    };
    Series<Gauge> dead_letters{
        registry, "txstream_dead_letters", "Parked events that wait for a decision.", {"event_type"}
    };
    Series<Counter> dead_lettered{
        registry, "txstream_dead_letters_total", "Events that were parked.", {}
    };
    Series<Gauge> delivery_blocked{
        registry,
        "txstream_delivery_blocked",
        "1 while this process does not deliver for this reason; the same as in /health.",
        {"reason"}
    };
    Series<Gauge> lanes_owned{
        registry, "txstream_lanes_owned", "Lanes this process holds a lease on.", {}
    };
    Series<Counter> leases_lost{
        registry,
        "txstream_lane_leases_lost_total",
        "Leases that ended while this process still worked on the lane.",
        {}
    };
    Series<Histogram> http_duration{
        registry,
        "txstream_http_request_duration_seconds",
        "From a request's first byte to the answer's last, by route template.",
        {"method", "route", "status"},
        buckets(kFastBuckets)
    };
    Series<Gauge> http_in_flight{
        registry,
        "txstream_http_requests_in_flight",
        "Requests being answered right now, the one for this page too.",
        {}
    };
    Series<Gauge> http_connections{
        registry, "txstream_http_connections", "HTTP connections being served right now.", {}
    };
    Series<Counter> http_refused{
        registry,
        "txstream_http_connections_refused_total",
        "HTTP connections beyond SERVER_CONNECTIONS_MAX, or beyond what descriptors allow.",
        {}
    };
    Series<Counter> http_timed_out{
        registry,
        "txstream_http_timeouts_total",
        "Requests that came, and answers that were taken, too slowly.",
        {}
    };
    Series<Gauge> http_buffered{
        registry,
        "txstream_http_buffered_bytes",
        "Bodies that are still coming and answers that are still going, beyond 16 KiB of each "
        "connection; SERVER_BUFFER_BYTES_MAX limits it.",
        {}
    };
    Series<Counter> http_broken_off{
        registry,
        "txstream_http_connections_broken_off_total",
        "HTTP connections ended because all together held more than SERVER_BUFFER_BYTES_MAX.",
        {}
    };
    Series<Gauge> db_pool{
        registry,
        "txstream_db_pool_connections",
        "PostgreSQL sessions of the orders API by state; waiting counts callers without one.",
        {"state"}
    };
    Series<Histogram> order_batch{
        registry,
        "txstream_order_batch_size",
        "Orders that were written together in one statement.",
        {},
        buckets(kBatchBuckets)
    };
    Series<Gauge> orders_waiting{
        registry,
        "txstream_orders_waiting",
        "Orders that were accepted and have no answer yet: they wait for a session, for a batch, "
        "or "
        "for the database.",
        {}
    };
    Series<Counter> log_messages{
        registry, "txstream_log_messages_total", "Log lines written.", {"level"}
    };
    Series<Counter> log_repeats{
        registry,
        "txstream_log_repeats_total",
        "Log lines that were only counted, since others of their kind had just been written.",
        {"level"}
    };
    Series<Counter> log_lost{
        registry,
        "txstream_log_lines_lost_total",
        "Log lines that the output did not take: disk full, pipe closed or not read.",
        {}
    };

    TopicAndType admit(std::string_view topic_value, std::string_view event_type_value) {
        const auto topic = topics.admit(topic_value);
        const auto type = event_types.admit(event_type_value);
        pair.assign(topic).append(1, '\0').append(type);
        if (!pairs.has_room_for(pair)) return {"other", "other"};
        return {topic, type};
    }

    void expect(std::string_view topic_value, std::string_view event_type_value) {
        const auto [topic, type] = admit(topic_value, event_type_value);
        for (const auto status : {Processed::published, Processed::permanently_failed}) {
            processed.at({to_string(status), type});
        }
        for (const auto kind :
             {Failure::database_error,
              Failure::lock_error,
              Failure::publish_error,
              Failure::update_error}) {
            failed.at({to_string(kind), type});
        }
        published.at({topic, type});
        retried.at({"1", type});
        processing.at({type});
        publishing.at({topic, type});
        dead_letters.at({type});
    }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {
    impl_->build_info.at({version(), revision(), compiler()}).Set(1);
    impl_->processing.at({"batch"});
    impl_->retry_delay.at({"1"});
    for (const std::string_view status : {"pending", "dead_letter"}) impl_->in_queue.at({status});
    db_pool({});
    impl_->breaker_trips.at({"closed", "open"});
    impl_->breaker_trips.at({"open", "half_open"});
    impl_->breaker_trips.at({"half_open", "open"});
    impl_->breaker_trips.at({"half_open", "closed"});
}

Metrics::~Metrics() = default;

void Metrics::expect(std::string_view topic, std::string_view event_type) {
    const std::lock_guard lock(impl_->mutex);
    impl_->expect(topic, event_type);
}

void Metrics::published(const PageTally& page) {
    if (page.events_ == 0) return;
    const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
    const std::lock_guard lock(impl_->mutex);
    for (const PageTally::Entry& entry : page.entries_) {
        if (entry.count == 0) continue;
        const auto [topic, type] = impl_->admit(entry.topic, entry.event_type);
        impl_->published.at({topic, type}).Increment(to_double(entry.count));
        flush(entry.publishing, impl_->publishing.at({topic, type}));
    }
    flush(page.end_to_end_, impl_->end_to_end.at({}));
    impl_->last_published.at({}).Set(now.count());
}

void Metrics::processed(const PageTally& page, double seconds) {
    if (page.events_ == 0) return;
    HistogramBatch<kFastBuckets.size()> batch(kFastBuckets);
    const std::lock_guard lock(impl_->mutex);
    for (const PageTally::Entry& entry : page.entries_) {
        if (entry.count == 0) continue;
        const std::string_view type = impl_->event_types.admit(entry.event_type);
        impl_->processed.at({to_string(Processed::published), type})
            .Increment(to_double(entry.count));
        batch.clear();
        batch.observe(seconds, entry.count);
        flush(batch, impl_->processing.at({type}));
    }
    batch.clear();
    batch.observe(seconds);
    flush(batch, impl_->processing.at({"batch"}));
}

void Metrics::processed(Processed status, std::string_view event_type, std::uint64_t events) {
    const std::lock_guard lock(impl_->mutex);
    impl_->processed.at({to_string(status), impl_->event_types.admit(event_type)})
        .Increment(to_double(events));
}

void Metrics::failed(Failure kind, std::string_view event_type, std::uint64_t events) {
    const std::lock_guard lock(impl_->mutex);
    impl_->failed.at({to_string(kind), impl_->event_types.admit(event_type)})
        .Increment(to_double(events));
}

void Metrics::retried(unsigned retry, std::string_view event_type, std::uint64_t events) {
    const std::lock_guard lock(impl_->mutex);
    impl_->retried.at({bounded_count(retry), impl_->event_types.admit(event_type)})
        .Increment(to_double(events));
}

void Metrics::retry_delay(unsigned retry, std::chrono::duration<double> delay) {
    const std::lock_guard lock(impl_->mutex);
    impl_->retry_delay.at({bounded_count(retry)}).Observe(delay.count());
}

void Metrics::events_in_queue(std::string_view status, std::uint64_t events) {
    const std::lock_guard lock(impl_->mutex);
    impl_->in_queue.at({status}).Set(to_double(events));
}

void Metrics::oldest_pending(double unix_seconds) {
    const std::lock_guard lock(impl_->mutex);
    impl_->oldest_pending.at({}).Set(unix_seconds);
}

void Metrics::dead_lettered(std::uint64_t events) {
    const std::lock_guard lock(impl_->mutex);
    impl_->dead_lettered.at({}).Increment(to_double(events));
}

void Metrics::dead_letters(std::span<const std::pair<std::string, std::uint64_t>> by_event_type) {
    const std::lock_guard lock(impl_->mutex);
    impl_->dead_letters.each([](Gauge& gauge) { gauge.Set(0); });
    for (const auto& [event_type, count] : by_event_type) {
        // Increment, since several types may share "other".
        impl_->dead_letters.at({impl_->event_types.admit(event_type)}).Increment(to_double(count));
    }
}

void Metrics::breaker_moved(std::string_view from_state, std::string_view to_state) {
    const std::lock_guard lock(impl_->mutex);
    impl_->breaker_trips.at({from_state, to_state}).Increment();
}

void Metrics::breaker_state(int state) {
    const std::lock_guard lock(impl_->mutex);
    impl_->breaker_state.at({}).Set(state);
}

void Metrics::worker_pool_size(std::size_t workers) {
    const std::lock_guard lock(impl_->mutex);
    impl_->worker_pool_size.at({}).Set(to_double(workers));
}

void Metrics::active_workers(std::size_t workers) {
    const std::lock_guard lock(impl_->mutex);
    impl_->active_workers.at({}).Set(to_double(workers));
}

void Metrics::delivery_blocked(std::string_view reason, bool is_blocked) {
    const std::lock_guard lock(impl_->mutex);
    impl_->delivery_blocked.at({reason}).Set(is_blocked ? 1 : 0);
}

void Metrics::lanes_owned(std::size_t lanes) {
    const std::lock_guard lock(impl_->mutex);
    impl_->lanes_owned.at({}).Set(to_double(lanes));
}

void Metrics::lane_lease_lost(std::uint64_t lanes) {
    const std::lock_guard lock(impl_->mutex);
    impl_->leases_lost.at({}).Increment(to_double(lanes));
}

void Metrics::http_request(
    std::string_view method, std::string_view route, int status, double seconds
) {
    const std::string code = fmt::to_string(status);
    const std::lock_guard lock(impl_->mutex);
    impl_->http_duration.at({bounded_method(method), route, code}).Observe(seconds);
}

void Metrics::http_in_flight(int change) {
    const std::lock_guard lock(impl_->mutex);
    impl_->http_in_flight.at({}).Increment(change);
}

void Metrics::http_connections(int change) {
    const std::lock_guard lock(impl_->mutex);
    impl_->http_connections.at({}).Increment(change);
}

void Metrics::http_connection_refused() {
    const std::lock_guard lock(impl_->mutex);
    impl_->http_refused.at({}).Increment();
}

void Metrics::http_timed_out() {
    const std::lock_guard lock(impl_->mutex);
    impl_->http_timed_out.at({}).Increment();
}

void Metrics::http_buffered(int change) {
    const std::lock_guard lock(impl_->mutex);
    impl_->http_buffered.at({}).Increment(change);
}

void Metrics::http_broken_off() {
    const std::lock_guard lock(impl_->mutex);
    impl_->http_broken_off.at({}).Increment();
}

void Metrics::order_batch(std::size_t orders) {
    const std::lock_guard lock(impl_->mutex);
    impl_->order_batch.at({}).Observe(to_double(orders));
}

void Metrics::orders_waiting(std::size_t waiting) {
    const std::lock_guard lock(impl_->mutex);
    impl_->orders_waiting.at({}).Set(to_double(waiting));
}

void Metrics::db_pool(const PoolConnections& connections) {
    const std::lock_guard lock(impl_->mutex);
    impl_->db_pool.at({"idle"}).Set(to_double(connections.idle));
    impl_->db_pool.at({"in_use"}).Set(to_double(connections.in_use));
    impl_->db_pool.at({"connecting"}).Set(to_double(connections.connecting));
    impl_->db_pool.at({"waiting"}).Set(to_double(connections.waiting));
}

std::string Metrics::expose() const {
    std::vector<prometheus::MetricFamily> families;
    {
        const std::lock_guard lock(impl_->mutex);
        // The log counts by itself: it must work before there are metrics and after.
        for (std::size_t i = 0; i < log::kLevels; ++i) {
            const auto level = static_cast<log::Level>(i);
            catch_up(impl_->log_messages.at({log::to_string(level)}), log::count(level));
            catch_up(impl_->log_repeats.at({log::to_string(level)}), log::repeat_count(level));
        }
        catch_up(impl_->log_lost.at({}), log::lost_count());
        families = impl_->registry.Collect();
    }
    append_process_stats(families);
    return prometheus::TextSerializer().Serialize(families);
}

}  // namespace txstream::telemetry
