// Delivery's second half: what Kafka reports, and what is to be written of it.

#include "base/assert.hpp"
#include "relay/delivery.hpp"
#include "relay/detail/delivery_page.hpp"
#include "telemetry/log.hpp"
#include "telemetry/semconv.hpp"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

namespace txstream::relay {

namespace {

constexpr std::string_view kComponent = "relay";
constexpr std::string_view kPurged = "_PURGE_";

double seconds(std::chrono::nanoseconds duration) {
    return std::chrono::duration<double>(duration).count();
}

// A line about one event belongs to its trace.
void log_event(
    log::Level level, std::string_view message, const WireEvent& event, log::Fields more
) {
    const auto trace = trace_of(event);
    const auto trace_id = trace ? telemetry::to_string(trace->trace_id) : std::string();
    std::vector<log::Field> fields{{"event_id", event.event_id}};
    fields.insert(fields.end(), more);
    if (trace) fields.emplace_back("trace_id", trace_id);
    log::write(level, kComponent, message, fields);
}

}  // namespace

// --- reports

void Delivery::on_reports(std::span<const Report> reports) {
    bool any_acknowledged = false;
    for (const auto& report : reports) {
        auto& slot = *static_cast<Slot*>(report.context);
        --in_flight_events_;
        auto& page = *slot.page;
        if (report.outcome != Outcome::acknowledged && send_error_.empty() &&
            !report.error.starts_with(kPurged))
            send_error_ = report.error;
        switch (report.outcome) {
            case Outcome::acknowledged:
                any_acknowledged = true;
                on_acknowledged(*page.lane, page, slot.index, report);
                break;
            case Outcome::refused_event:
                if (!is_alone_ &&
                    publisher_->blames_batch(
                        report.error, page.wire[slot.index].topic, page.wire[slot.index].bytes()
                    )) {
                    on_batch_refused(page, slot.index, report);
                    break;
                }
                on_refused(*page.lane, page, slot.index, report);
                break;
            case Outcome::refused_topic:
                on_topic_refused(*page.lane, page, slot.index, report.error);
                break;
            case Outcome::retryable:
                if (report.error.starts_with(kPurged)) {
                    // It was queued behind a record that was refused. That one's own report says
                    // why, and may come later.
                    must_restart(kProducerRestart);
                    restart_at_ = std::max(restart_at_, Clock::now() + limits_.reports_grace);
                    break;
                }
                // The producer goes down with it, and takes along what was queued behind it: a
                // later event of the key must not pass.
                unexplained_.reset();
                if (dependencies_.gate.state() != DeliveryGate::State::paused) {
                    fail(
                        "publish_error",
                        Error(
                            Code::unavailable,
                            "Kafka did not take a record: " + std::string(report.error),
                            std::string(report.error)
                        )
                    );
                }
                must_restart(header_word(Blockage::kafka_unavailable));
                break;
        }
    }
    if (any_acknowledged) {
        dependencies_.gate.acknowledged(Clock::now(), in_flight_events_ > 0);
        // A late one does not end the wait for an open breaker.
        if (!dependencies_.gate.is_held_by_breaker()) blockages_.clear(Blockage::kafka_unavailable);
        if (!needs_restart_) send_error_.clear();
        update_delay();
    } else if (in_flight_events_ == 0) {
        dependencies_.gate.forgotten();
    }
    if (blocked_ && !needs_restart_) pump();
    dependencies_.reader.notify();
    if (has_acknowledgements()) dependencies_.keeper.notify();
}

void Delivery::on_acknowledged(Lane& lane, Page& page, std::size_t index, const Report& report) {
    const auto& event = page.wire[index];
    lane.machine.published(page.number);
    if (lane.held_topic == event.topic) {
        lane.held_topic.clear();
        lane.own_delay.end(lane.machine.looks());
    }
    page.note(event.topic, report.partition, report.offset);
    const auto age = outbox::plausible_age(
        event.created_at, std::chrono::floor<std::chrono::microseconds>(runtime::WallClock::now())
    );
    page.tally.published(
        event.topic,
        event.event_type,
        seconds(Clock::now() - page.handed_over_at),
        age ? std::optional(seconds(*age)) : std::nullopt
    );
    if (log::enabled(log::Level::debug)) {
        log_event(
            log::Level::debug,
            "published",
            event,
            {{"topic", event.topic},
             {"partition", report.partition},
             {"offset", report.offset},
             {"lane", lane.machine.lane().value()}}
        );
    }
    settled(page);
}

void Delivery::on_refused(Lane& lane, Page& page, std::size_t index, const Report& report) {
    const auto& event = page.wire[index];
    auto why = publisher_->explain(report.error, event.topic, event.bytes());
    log_event(
        log::Level::warn,
        "Kafka refused an event",
        event,
        {{"topic", event.topic},
         {"lane", lane.machine.lane().value()},
         {"error_type", report.error},
         {"error", why}}
    );
    unexplained_.reset();
    dependencies_.metrics.failed(Failure::publish_error, event.event_type);
    lane.machine.refused(event.id, std::string(report.error), std::move(why));
    dependencies_.metrics.retried(
        static_cast<unsigned>(lane.machine.attempts(event.id)) + 1, event.event_type
    );
    must_restart(kRecordRefused);
    restart_at_ = Clock::now() + limits_.refused_retry_delay;
}

// No attempt is counted: the record goes again, in a smaller batch.
void Delivery::on_batch_refused(const Page& page, std::size_t index, const Report& report) {
    log::info(
        kComponent,
        "Kafka refused a batch as too large; its records are sent again in smaller ones",
        {{"topic", page.wire[index].topic}, {"error_type", report.error}}
    );
    unexplained_.reset();
    must_restart(kBatchRefused);
}

void Delivery::on_topic_refused(Lane& lane, Page& page, std::size_t index, std::string_view error) {
    unexplained_.reset();
    lane.machine.topic_refused(page.number, page.wire[index].id);
    hold(lane, page.wire[index], error);
    const bool is_last_page = std::ranges::none_of(lane.pages, [&](const auto& one) {
        return one->number > page.number && one->next > 0;
    });
    if (is_last_page && page.next == index + 1) {
        cut(lane, page, index);
    } else {
        // What went after it goes again after it.
        must_restart(header_word(Blockage::topic_refused));
    }
}

// The topic's events wait, and so does their lane; what others publish goes on.
void Delivery::hold(Lane& lane, const WireEvent& event, std::string_view error) {
    const auto now = Clock::now();
    if (now < lane.held_until) return;
    lane.held_until = now + limits_.topic_retry_delay;
    lane.held_topic = event.topic;
    lane.begin_own_delay(Blockage::topic_refused);
    dependencies_.metrics.failed(Failure::publish_error, event.event_type);
    log_event(
        log::Level::error,
        "Kafka takes nothing for a topic; the lane waits until the topic exists and we may write",
        event,
        {{"topic", event.topic},
         {"lane", lane.machine.lane().value()},
         {"error_type", error},
         {"error", publisher_->explain(error, event.topic, event.bytes())},
         {"delay_ms", limits_.topic_retry_delay.count()}}
    );
}

void Delivery::settled(Page& page) {
    if (--page.open == 0) completed(page);
}

void Delivery::completed(Page& page) {
    if (page.tally.events() > 0) dependencies_.metrics.published(page.tally);
    if (page.tally.events() > 0) trace(page, {});
    dependencies_.keeper.notify();
}

void Delivery::trace(Page& page, std::string_view error) {
    if (!spans_.is_on()) return;
    // A page that was cut ends with what was handed over last.
    const auto handed_over = std::min(page.next, page.wire.size());
    SendSpans::Page sent{
        .events = std::span(page.wire).first(handed_over),
        .count = page.open == 0 ? page.tally.events() : handed_over,
        .lane = page.lane->machine.lane().value()
    };
    if (page.ranges.size() == 1) {
        sent.partition = page.ranges.front().partition;
        sent.offset = page.ranges.front().first;
    }
    sent.duration = Clock::now() - page.handed_over_at;
    sent.error = page.open == 0 || !error.empty() ? error : telemetry::semconv::kErrorTypeOther;
    spans_.record(sent, page.links);
}

// --- acknowledging

bool Delivery::can_acknowledge(const Lane& lane) const {
    return !lane.pages.empty() && lane.pages.front()->open == 0 &&
           !lane.machine.is_acknowledging() && lane.put_off_until <= Clock::now();
}

bool Delivery::has_acknowledgements() const {
    return std::ranges::any_of(lanes_, [this](const auto& entry) {
        return can_acknowledge(entry.second);
    });
}

std::optional<Delivery::Clock::time_point> Delivery::acknowledgement_due() const {
    std::optional<Clock::time_point> due;
    const auto now = Clock::now();
    for (const auto& [id, lane] : lanes_) {
        // One that is due already can be taken, or it waits for Kafka and not for a time.
        if (lane.put_off == 0 || lane.put_off_until <= now || lane.machine.is_acknowledging())
            continue;
        due = std::min(due.value_or(lane.put_off_until), lane.put_off_until);
    }
    return due;
}

std::size_t Delivery::unrecorded() const {
    std::size_t events = 0;
    for (const auto& [id, lane] : lanes_) {
        for (const auto& page : lane.pages) {
            if (page->open > 0) break;
            events += page->wire.size();
        }
    }
    return events;
}

bool Delivery::is_acknowledgement_urgent() const {
    return !has_room() || unrecorded() >= limits_.unrecorded_urgent;
}

std::vector<LaneMachine::Acknowledgement> Delivery::take_acknowledgements(bool of_all) {
    std::vector<LaneMachine::Acknowledgement> taken;
    for (auto& [id, lane] : lanes_) {
        if (!can_acknowledge(lane) || (!of_all && lane.pages.back()->open > 0)) continue;
        auto next = lane.machine.next_acknowledgement();
        if (!next) continue;
        next->publication.records = records_of(lane, next->pages);
        taken.push_back(std::move(*next));
        ++acknowledging_;
    }
    return taken;
}

std::vector<outbox::LaneProgress> Delivery::positions(bool of_all) const {
    std::vector<outbox::LaneProgress> all;
    for (const auto& [id, lane] : lanes_) {
        if (!lane.machine.is_acknowledging() && (of_all || lane.machine.is_idle()))
            all.push_back(lane.machine.position());
    }
    return all;
}

void Delivery::acknowledged(const LaneMachine::Acknowledgement& acknowledgement) {
    const auto found = lanes_.find(acknowledgement.progress.lane);
    if (found == lanes_.end()) return;
    auto& lane = found->second;
    const auto now = Clock::now();
    lane.machine.acknowledged();
    --acknowledging_;
    if (std::exchange(lane.put_off, 0U) > 0) lane.own_delay.end(lane.machine.looks());
    for (std::size_t i = 0; i < acknowledgement.pages; ++i) {
        auto& page = *lane.pages.front();
        if (page.tally.events() > 0)
            dependencies_.metrics.processed(page.tally, seconds(now - page.read_at));
        count_parked(acknowledgement, page);
        if (!lane.tries.empty())
            for (const auto& event : page.wire) lane.tries.forget(event.id);
        in_flight_bytes_ -= page.bytes;
        lane.pages.pop_front();
    }
    if (acknowledgement.publication.events > 0)
        tell_published(batch_log_.add(acknowledgement.publication.events, now));
    tell_load();
    dependencies_.reader.notify();
}

void Delivery::tell_published(const std::optional<BatchLog::Line>& line) const {
    if (!line) return;
    log::info(
        kComponent,
        "published events",
        {{"worker", dependencies_.worker},
         {"events", line->events},
         {"batches", line->batches},
         {"duration_ms", line->within.count()}}
    );
}

void Delivery::take_back(LaneId id) {
    lanes_.at(id).machine.not_acknowledged();
    --acknowledging_;
    dependencies_.reader.notify();
}

void Delivery::put_off(LaneId id) {
    take_back(id);
    auto& lane = lanes_.at(id);
    const auto delay = limits_.park_retry_delay * (1U << std::min(lane.put_off, 10U));
    lane.put_off_until = Clock::now() + std::min(delay, limits_.park_retry_delay_max);
    ++lane.put_off;
    lane.begin_own_delay(Blockage::cannot_park);
}

bool Delivery::expects_reports() const {
    return in_flight_events_ > 0 && !dependencies_.blockages.contains(Blockage::kafka_unavailable);
}

void Delivery::count_parked(const LaneMachine::Acknowledgement& acknowledgement, const Page& page) {
    for (const auto& parked : acknowledgement.parked) {
        const auto event = std::ranges::find(page.wire, parked.id, &WireEvent::id);
        if (event == page.wire.end()) continue;
        dependencies_.metrics.parked(parked.error_class, event->topic, event->event_type);
        // Those that the broker refused were counted at each refusal.
        if (parked.attempts == 1)
            dependencies_.metrics.failed(Failure::publish_error, event->event_type);
        log_event(
            log::Level::error,
            "parked an event",
            *event,
            {{"lane", page.lane->machine.lane().value()},
             {"attempt", parked.attempts},
             {"error_type", parked.error_class},
             {"error", parked.error}}
        );
    }
}

void Delivery::count_retried(unsigned retry) {
    std::map<std::string_view, std::uint64_t> by_type;
    for (const auto& [id, lane] : lanes_) {
        for (const auto& page : lane.pages) {
            if (page->open > 0 && page->next > 0)
                by_type[page->wire.front().event_type] += page->open;
        }
    }
    for (const auto& [type, events] : by_type) dependencies_.metrics.retried(retry, type, events);
}

// What of the lane is in hand is published again, by us or by the next owner. What Kafka
// acknowledged meanwhile it will have twice.
void Delivery::count_resent(const Lane& lane) {
    std::uint64_t acknowledged = 0;
    std::uint64_t unknown = 0;
    for (const auto& page : lane.pages) {
        const auto settled = page->wire.size() - page->open;
        acknowledged += page->tally.events();
        unknown += page->next - std::min(page->next, settled);
    }
    if (acknowledged > 0) dependencies_.metrics.resent(Resent::acknowledged, acknowledged);
    if (unknown > 0) dependencies_.metrics.resent(Resent::unknown, unknown);
}

void Delivery::tell_load() {
    std::size_t events = 0;
    std::chrono::duration<double> busy{};
    const auto now = Clock::now();
    for (auto& [id, lane] : lanes_) {
        for (const auto& page : lane.pages) events += page->wire.size();
        if (lane.busy_since) busy += now - *lane.busy_since;
        lane.busy_since = lane.pages.empty() ? std::nullopt : std::optional(now);
    }
    if (busy.count() > 0) dependencies_.metrics.lane_busy_seconds.add(busy.count());
    if (dependencies_.load == nullptr) return;
    dependencies_.load->events = events;
    dependencies_.load->bytes = in_flight_bytes_;
}

std::vector<outbox::RecordRange> Delivery::records_of(const Lane& lane, std::size_t pages) {
    std::vector<outbox::RecordRange> all;
    for (std::size_t i = 0; i < pages; ++i) {
        for (const auto& range : lane.pages[i]->ranges)
            outbox::add_records(
                all, {std::string(range.topic), range.partition, range.first, range.last}
            );
    }
    return all;
}

}  // namespace txstream::relay
