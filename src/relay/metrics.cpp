#include "relay/metrics.hpp"

#include "relay/delays.hpp"
#include "runtime/clock.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace txstream::relay {

namespace {

using telemetry::kEndToEndBuckets;
using telemetry::kFastBuckets;
using telemetry::Label;
using enum telemetry::Reporter;

/// The earlier system's, for the delays of retries.
constexpr std::array<double, 8> kRetryDelayBuckets{0.1, 0.5, 1, 2, 5, 10, 30, 60};
constexpr unsigned kRetryLabelMax = 10;
/// Entries of a tally that are kept for the next page: types that come by chance must not pile up
/// in a tally that lives for years.
constexpr std::size_t kEntriesKept = 16;

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

std::string_view to_string(Resent outcome) {
    return outcome == Resent::acknowledged ? "acknowledged" : "unknown";
}

std::string_view to_string(Path path) {
    return path == Path::fast ? "fast" : "careful";
}

/// Labels have underscores where headers have hyphens.
std::string label_of(std::string_view header_word) {
    std::string label(header_word);
    std::ranges::replace(label, '-', '_');
    return label;
}

Label losses() {
    return {
        "reason",
        {to_string(Lost::lease_expired), to_string(Lost::taken_over), to_string(Lost::session_lost)}
    };
}

std::string retry_label(unsigned retry) {
    return retry > kRetryLabelMax ? fmt::format("{}+", kRetryLabelMax) : fmt::to_string(retry);
}

Label reasons() {
    Label label{"reason"};
    for (const auto blockage : kBlockages) label.known.push_back(relay::to_string(blockage));
    return label;
}

double to_double(std::uint64_t n) {
    return static_cast<double>(n);
}

}  // namespace

std::string_view to_string(Lost reason) {
    switch (reason) {
        case Lost::lease_expired:
            return "lease_expired";
        case Lost::taken_over:
            return "taken_over";
        case Lost::session_lost:
            return "session_lost";
    }
    return "unknown";
}

// --- tally

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
    if (entries_.size() > kEntriesKept) entries_.clear();
    for (Entry& e : entries_) {
        e.count = 0;
        e.publishing.clear();
    }
    end_to_end_.clear();
    events_ = 0;
}

// --- metrics

Metrics::Metrics(telemetry::Registry& registry)
    : processed_(registry.counters(
          {"txstream_events_processed_total",
           "Events that left the outbox, by how.",
           relay,
           "The rate is what the relay gets done; compare it with "
           "txstream_outbox_events_appended_total.",
           "sum by (status) (rate(txstream_events_processed_total[5m]))"},
          {{"status"}, {"event_type"}}
      )),
      published_(registry.counters(
          {"txstream_events_published_total",
           "Events that Kafka acknowledged. One that is sent again counts again.",
           relay,
           "Falls to 0 while events wait: see txstream_delivery_blocked.",
           "sum by (topic) (rate(txstream_events_published_total[5m]))"},
          {{"topic"}, {"event_type"}}
      )),
      failed_(registry.counters(
          {"txstream_events_failed_total",
           "What failed: publish_error, events that Kafka refused, alone or with their topic; "
           "database_error, reads and leases; update_error, writes of positions and dead letters; "
           "lock_error, lanes that another relay took.",
           relay,
           "publish_error: see the dead letters. The others: see the log, and PostgreSQL.",
           "sum by (error_type) (increase(txstream_events_failed_total[15m]))"},
          {{"error_type"}, {"event_type"}}
      )),
      retried_(registry.counters(
          {"txstream_events_retried_total",
           "Events tried again, by the number of the retry.",
           relay,
           "Rises while Kafka is away; high retry counts mean a long outage.",
           "sum by (retry_count) (increase(txstream_events_retried_total[15m]))"},
          {{"retry_count"}, {"event_type"}}
      )),
      breaker_trips_(registry.counters(
          {"txstream_circuit_breaker_trips_total",
           "State changes of the circuit breaker.",
           relay,
           "Many in an hour: Kafka comes and goes.",
           R"(increase(txstream_circuit_breaker_trips_total{to_state="open"}[1h]))"},
          {{"from_state"}, {"to_state"}}
      )),
      processing_(registry.histograms(
          {"txstream_event_processing_duration_seconds",
           "From reading a page of events to writing the position behind it, once for each of its "
           "events; once for the page under event_type batch.",
           relay,
           "Slow beside the publishing duration: PostgreSQL is slow to take acknowledgements.",
           "histogram_quantile(0.99, sum by (le) "
           "(rate(txstream_event_processing_duration_seconds_bucket[5m])))"},
          kFastBuckets,
          {{"event_type", {"batch"}}}
      )),
      publishing_(registry.histograms(
          {"txstream_event_publishing_duration_seconds",
           "From handing over the first event of a page to Kafka's acknowledgement of the event.",
           relay,
           "Slow: look at the brokers, at acks and min.insync.replicas.",
           "histogram_quantile(0.99, sum by (le, topic) "
           "(rate(txstream_event_publishing_duration_seconds_bucket[5m])))"},
          kFastBuckets,
          {{"topic"}, {"event_type"}}
      )),
      retry_delay_(registry.histograms(
          {"txstream_retry_delay_duration_seconds",
           "Pauses before a retry.",
           relay,
           "KAFKA_BASE_DELAY, KAFKA_MULTIPLIER and KAFKA_MAX_DELAY set them.",
           "sum by (retry_attempt) (increase(txstream_retry_delay_duration_seconds_count[15m]))"},
          kRetryDelayBuckets,
          {{"retry_attempt", {"1"}}}
      )),
      breaker_state_(registry.gauge(
          {"txstream_circuit_breaker_state",
           "0 closed, 1 half-open, 2 open.",
           relay,
           "Open: Kafka does not acknowledge; events wait in the outbox and are safe.",
           "max(txstream_circuit_breaker_state) == 2"}
      )),
      last_published_(registry.gauge(
          {"txstream_outbox_last_published_timestamp_seconds",
           "Unix time of the latest acknowledgement by Kafka; 0 before the first.",
           relay,
           "Old, and events wait: nothing is delivered.",
           "time() - max(txstream_outbox_last_published_timestamp_seconds > 0)"}
      )),
      end_to_end_(registry.histogram(
          {"txstream_event_end_to_end_duration_seconds",
           "From the event's creation in its transaction to Kafka's acknowledgement.",
           relay,
           "The delay that consumers see. The objective: 99.9 % within 5 s.",
           "histogram_quantile(0.99, sum by (le) "
           "(rate(txstream_event_end_to_end_duration_seconds_bucket[5m])))"},
          kEndToEndBuckets
      )),
      dead_lettered_(registry.counters(
          {"txstream_dead_letters_total",
           "Events that were parked, by Kafka's name of the refusal and the topic.",
           relay,
           "Each is an event that its consumers do not have: txstream.dead_letters has the error.",
           "sum by (error_type, topic) (increase(txstream_dead_letters_total[1h]))"},
          {{"error_type"}, {"topic"}}
      )),
      replayed_(registry.counters(
          {"txstream_dead_letters_replayed_total",
           "Dead letters that were sent after all: replayed, Kafka has them; parked, they were "
           "refused again.",
           relay,
           "What is parked again has its new error in txstream.dead_letters.",
           "sum by (result) (increase(txstream_dead_letters_replayed_total[1h]))"},
          {{"result"}}
      )),
      copied_(registry.counters(
          {"txstream_dead_letter_copies_total",
           "Dead letters for KAFKA_TOPIC_DEAD_LETTERS: copied, Kafka has them; left_out, it never "
           "takes them; failed, batches that are tried again.",
           relay,
           "failed that rises: the log says why; the topic may be missing.",
           "sum by (result) (increase(txstream_dead_letter_copies_total[1h]))"},
          {{"result"}}
      )),
      resent_(registry.counters(
          {"txstream_records_resent_total",
           "Records that were handed to Kafka before and are sent again: unknown, Kafka may have "
           "them; acknowledged, it has.",
           relay,
           "Consumers see the acknowledged ones twice. What a relay that died had in flight is "
           "sent again too, and no process counts it. The reason is that of the header "
           "txstream-delay-reason.",
           "sum by (outcome, reason) (increase(txstream_records_resent_total[1h]))"},
          {{"outcome"}, {"reason"}}
      )),
      sent_(registry.counters(
          {"txstream_records_sent_total",
           "Records that were handed to Kafka's client: on the fast path, many of a key together; "
           "on "
           "the careful path, one of a key at a time.",
           relay,
           "careful that rises: a topic refuses records, see txstream_careful_topics.",
           "sum by (path) (rate(txstream_records_sent_total[5m]))"},
          {{"path", {"fast", "careful"}}}
      )),
      leases_lost_(registry.counters(
          {"txstream_leases_lost_total",
           "Times that a worker lost its lease with lanes in hand. lease_expired: it could not "
           "prolong it in time. taken_over: another relay has its lanes. session_lost: the session "
           "under which they were claimed has ended.",
           relay,
           "What was in flight is sent again by the next owner. Look for a slow PostgreSQL, a "
           "paused process, a lease that is too short.",
           "sum by (reason) (increase(txstream_leases_lost_total[15m]))"},
          {losses()}
      )),
      lanes_lost_(registry.counters(
          {"txstream_lanes_lost_total",
           "Lanes that were lost with a lease.",
           relay,
           "With txstream_lanes_claimed_total and txstream_lanes_released_total: how lanes change "
           "hands.",
           "sum by (reason) (increase(txstream_lanes_lost_total[15m]))"},
          {losses()}
      )),
      lanes_handed_over_(registry.counters(
          {"txstream_lanes_handed_over_total",
           "Lanes that a relay handed over to one that had fewer, as it is counted by both. "
           "Nothing "
           "of them is sent twice.",
           relay,
           "It rises when relays start or stop, and stays the same otherwise. The two differ by "
           "what goes to relays that end before they take it.",
           "sum by (direction) (increase(txstream_lanes_handed_over_total[15m]))"},
          {{"direction", {"given", "taken"}}}
      )),
      lease_remaining_(registry.gauges(
          {"txstream_lease_remaining_seconds",
           "How long this process may publish if it cannot prolong a lease: of its workers' leases "
           "the first to end, less the safety margin of a fifth. Absent where it has no lanes.",
           relay,
           "Between 7/15 and 4/5 of txstream_lease_seconds when all is well; near 0: PostgreSQL "
           "does not answer in time.",
           "min(txstream_lease_remaining_seconds / txstream_lease_seconds)"},
          {}
      )),
      delivery_blocked_(registry.gauges(
          {"txstream_delivery_blocked",
           "1 while this process does not deliver for this reason; the same as in /health.",
           relay,
           "Each reason has an alert with a runbook. An API without a relay in its process has "
           "no_worker alone: lanes without an owner.",
           "max by (reason) (txstream_delivery_blocked) == 1"},
          {reasons()}
      )),
      worker_pool_size(registry.gauge(
          {"txstream_worker_pool_size",
           "Workers that may publish lanes in parallel.",
           relay,
           "WORKER_POOL_SIZE sets it.",
           "sum(txstream_worker_pool_size)"}
      )),
      active_workers(registry.gauge(
          {"txstream_active_workers",
           "Workers that hold lanes and publish their events.",
           relay,
           "0 in one relay: it stands by. 0 in all: no lane has an owner.",
           "sum(txstream_active_workers)"}
      )),
      lanes_owned(registry.gauge(
          {"txstream_lanes_owned",
           "Lanes that belong to the leases of this process.",
           relay,
           "The sum over all relays is the number of lanes, but for moments of a change.",
           "sum(txstream_lanes_owned)"}
      )),
      lanes_target(registry.gauge(
          {"txstream_lanes_target",
           "Lanes that this process should have, by the shares of all relays.",
           relay,
           "0 of one that stands by, or is drained. Where it differs from txstream_lanes_owned for "
           "long, lanes cannot be handed over.",
           "txstream_lanes_target - txstream_lanes_owned"}
      )),
      lanes_claimed(registry.counter(
          {"txstream_lanes_claimed_total",
           "Lanes that this process has claimed.",
           relay,
           "The sum over all relays is how often a lane changed hands. It rises when relays start, "
           "stop or lose leases, and stays the same otherwise.",
           "sum(increase(txstream_lanes_claimed_total[15m]))"}
      )),
      lanes_released(registry.counter(
          {"txstream_lanes_released_total",
           "Lanes that this process released when it stopped, so that others need not wait for the "
           "end of its leases.",
           relay,
           "",
           "sum(increase(txstream_lanes_released_total[15m]))"}
      )),
      lease_seconds(registry.gauge(
          {"txstream_lease_seconds",
           "For how long a lease is taken and prolonged.",
           relay,
           "WORKER_LEASE sets it. When a relay dies its lanes wait for as long.",
           "max(txstream_lease_seconds)"}
      )),
      lane_busy_seconds(registry.counter(
          {"txstream_lane_busy_seconds_total",
           "Time in which a lane had events in flight, summed over the lanes of this process.",
           relay,
           "Its rate divided by the lanes is their utilisation.",
           "sum(rate(txstream_lane_busy_seconds_total[5m])) / sum(txstream_lanes_owned)"}
      )),
      in_flight_events(registry.gauge(
          {"txstream_in_flight_events",
           "Events that were read and are not acknowledged in PostgreSQL yet.",
           relay,
           "What a crash of this process would send again, at most.",
           "sum(txstream_in_flight_events)"}
      )),
      in_flight_bytes(registry.gauge(
          {"txstream_in_flight_bytes",
           "The size of txstream_in_flight_events.",
           relay,
           "WORKER_IN_FLIGHT_BYTES limits it; at the limit, Kafka is slower than PostgreSQL.",
           "sum(txstream_in_flight_bytes)"}
      )),
      events_aside(registry.gauge(
          {"txstream_events_aside",
           "Events of txstream_in_flight_events that are not on the fast path: they wait for their "
           "topic or for an earlier event of their key, or are sent one of a key at a time.",
           relay,
           "More than 0: see txstream_careful_topics and txstream_closed_topics.",
           "sum(txstream_events_aside)"}
      )),
      keys_aside(registry.gauge(
          {"txstream_keys_aside",
           "Keys of txstream_events_aside.",
           relay,
           "What a refusal holds up: only events of these keys wait.",
           "sum(txstream_keys_aside)"}
      )),
      events_waiting_for_topic(registry.gauge(
          {"txstream_events_waiting_for_topic",
           "Events of txstream_events_aside that wait until a topic accepts records, with those "
           "behind them in their keys.",
           relay,
           "They are parked after WORKER_TOPIC_PATIENCE: create the topic, or grant the right.",
           "sum(txstream_events_waiting_for_topic)"}
      )),
      careful_topics(registry.gauge(
          {"txstream_careful_topics",
           "Topics on the careful path: a record was refused, so for some minutes one record of a "
           "key is sent at a time.",
           relay,
           "More than 0: see the log lines \"Kafka refuses events\". All is delivered, more "
           "slowly.",
           "max(txstream_careful_topics)"}
      )),
      closed_topics(registry.gauge(
          {"txstream_closed_topics",
           "Topics that accept no record (missing, not authorised): their events wait, and later "
           "ones of the same keys.",
           relay,
           "More than 0: txstream_delivery_blocked has topic_refused, or topic_missing for "
           "KAFKA_TOPIC.",
           "max(txstream_closed_topics)"}
      )),
      reader_polls(registry.counter(
          {"txstream_reader_polls_total",
           "Looks for new events.",
           relay,
           "Adaptive, from WORKER_POLL_MIN to WORKER_POLL_MAX apart; 0 while much waits: the "
           "window is paged, or "
           "nothing may be read.",
           "sum(rate(txstream_reader_polls_total[5m]))"}
      )),
      reader_pages(registry.counter(
          {"txstream_reader_pages_total",
           "Pages with events that were read.",
           relay,
           "Events for each page: few when all is read at once, WORKER_BATCH_SIZE in a backlog.",
           "sum(rate(txstream_reader_events_total[5m])) / "
           "sum(rate(txstream_reader_pages_total[5m]))"}
      )),
      reader_events(registry.counter(
          {"txstream_reader_events_total",
           "Events that were read.",
           relay,
           "More than txstream_events_published_total for long: lanes are lost, and read again.",
           "sum(rate(txstream_reader_events_total[5m]))"}
      )),
      reader_bytes(registry.counter(
          {"txstream_reader_bytes_total",
           "What the events that were read are in wire form: keys, headers and values.",
           relay,
           "Per event: how large they are at present.",
           "sum(rate(txstream_reader_bytes_total[5m])) / "
           "sum(rate(txstream_reader_events_total[5m]))"}
      )),
      reader_lag_events(registry.gauge(
          {"txstream_reader_lag_events",
           "Events of this process's lanes that are committed and not read yet, as exact as "
           "txstream_events_in_queue; renewed every 2 s.",
           relay,
           "Large, and in flight at its limit: Kafka is slow. Large, and little in flight: reading "
           "is slow.",
           "sum(txstream_reader_lag_events)"}
      )),
      reader_lag_seconds(registry.gauge(
          {"txstream_reader_lag_seconds",
           "Age of the newest event that was read, while there are more to read; 0 otherwise. "
           "Renewed every 2 s.",
           relay,
           "How far behind the writers the relay reads.",
           "max(txstream_reader_lag_seconds)"}
      )) {
    using enum policy::BreakerState;
    for (const auto& [from, to] :
         {std::pair{closed, open}, {open, half_open}, {half_open, open}, {half_open, closed}})
        (void)breaker_trips_.at({policy::to_string(from), policy::to_string(to)});
    for (const auto reason :
         {kLaneLost,
          kProducerRestart,
          kRecordRefused,
          kBatchRefused,
          kWaitedTooLong,
          header_word(Blockage::topic_refused),
          header_word(Blockage::kafka_unavailable)})
        resent(Resent::unknown, reason, 0);
    resent(Resent::acknowledged, kLaneLost, 0);
}

void Metrics::expect(std::string_view topic, std::string_view event_type) const {
    for (const auto status : {Processed::published, Processed::permanently_failed})
        (void)processed_.at({to_string(status), event_type});
    for (const auto kind :
         {Failure::database_error,
          Failure::lock_error,
          Failure::publish_error,
          Failure::update_error}) {
        (void)failed_.at({to_string(kind), event_type});
    }
    (void)published_.at({topic, event_type});
    (void)retried_.at({"1", event_type});
    (void)processing_.at({event_type});
    (void)publishing_.at({topic, event_type});
    (void)dead_lettered_.at({"MSG_SIZE_TOO_LARGE", topic});
    replayed(0, 0);
    copied(0, 0);
    (void)copied_.at({"failed"});
}

void Metrics::published(const PageTally& page) const {
    if (page.events_ == 0) return;
    const std::chrono::duration<double> now = runtime::WallClock::now().time_since_epoch();
    for (const PageTally::Entry& entry : page.entries_) {
        if (entry.count == 0) continue;
        published_.at({entry.topic, entry.event_type}).add(to_double(entry.count));
        publishing_.at({entry.topic, entry.event_type}).add(entry.publishing);
    }
    end_to_end_.add(page.end_to_end_);
    counted_.published += page.events_;
    last_published_.set(now.count());
}

void Metrics::processed(const PageTally& page, double seconds) const {
    if (page.events_ == 0) return;
    telemetry::HistogramBatch<kFastBuckets.size()> batch(kFastBuckets);
    for (const PageTally::Entry& entry : page.entries_) {
        if (entry.count == 0) continue;
        processed_.at({to_string(Processed::published), entry.event_type})
            .add(to_double(entry.count));
        batch.clear();
        batch.observe(seconds, entry.count);
        processing_.at({entry.event_type}).add(batch);
    }
    processing_.at({"batch"}).observe(seconds);
}

void Metrics::failed(Failure kind, std::string_view event_type, std::uint64_t events) const {
    failed_.at({to_string(kind), event_type}).add(to_double(events));
    counted_.failed += events;
}

void Metrics::retried(unsigned retry, std::string_view event_type, std::uint64_t events) const {
    retried_.at({retry_label(retry), event_type}).add(to_double(events));
}

void Metrics::retry_delay(unsigned retry, std::chrono::duration<double> delay) const {
    retry_delay_.at({retry_label(retry)}).observe(delay.count());
}

void Metrics::resent(Resent outcome, std::string_view reason, std::uint64_t records) const {
    resent_.at({to_string(outcome), label_of(reason)}).add(to_double(records));
}

void Metrics::sent(Path path, std::uint64_t records) const {
    sent_.at({to_string(path)}).add(to_double(records));
}

void Metrics::lost(Lost reason, std::size_t lanes) const {
    if (lanes == 0) return;
    {
        const std::scoped_lock lock(mutex_);
        const auto before = last_loss_ ? last_loss_->times : 0;
        last_loss_ = Loss{runtime::WallClock::now(), reason, before + 1};
    }
    leases_lost_.at({to_string(reason)}).add();
    lanes_lost_.at({to_string(reason)}).add(to_double(lanes));
}

void Metrics::handed_over(HandOver direction, std::size_t lanes) const {
    if (lanes == 0) return;
    lanes_handed_over_.at({direction == HandOver::given ? "given" : "taken"}).add(to_double(lanes));
}

void Metrics::lease_remaining(std::optional<std::chrono::duration<double>> time) const {
    if (time) {
        lease_remaining_.at({}).set(std::max(time->count(), 0.0));
    } else {
        lease_remaining_.withdraw();
    }
}

void Metrics::parked(
    std::string_view error_type, std::string_view topic, std::string_view event_type
) const {
    processed_.at({to_string(Processed::permanently_failed), event_type}).add();
    dead_lettered_.at({error_type, topic}).add();
    ++counted_.parked;
}

void Metrics::replayed(std::uint64_t arrived, std::uint64_t parked) const {
    replayed_.at({"replayed"}).add(static_cast<double>(arrived));
    replayed_.at({"parked"}).add(static_cast<double>(parked));
}

void Metrics::copied(std::uint64_t arrived, std::uint64_t left) const {
    copied_.at({"copied"}).add(static_cast<double>(arrived));
    copied_.at({"left_out"}).add(static_cast<double>(left));
}

void Metrics::copy_failed() const {
    copied_.at({"failed"}).add();
}

Metrics::Totals Metrics::totals() const noexcept {
    return {counted_.published, counted_.failed, counted_.parked};
}

std::optional<Metrics::Loss> Metrics::last_loss() const {
    const std::scoped_lock lock(mutex_);
    return last_loss_;
}

std::vector<double> Metrics::end_to_end_counts() const {
    return end_to_end_.counts();
}

void Metrics::delivery_blocked(Blockage reason, bool is_blocked) const {
    delivery_blocked_.at({relay::to_string(reason)}).set(is_blocked ? 1 : 0);
}

void Metrics::breaker_moved(policy::BreakerState from, policy::BreakerState to) const {
    breaker_trips_.at({policy::to_string(from), policy::to_string(to)}).add();
    breaker_state_.set(static_cast<double>(to));
}

}  // namespace txstream::relay
