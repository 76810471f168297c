// Delivery: what Kafka says of records.

#include "relay/delivery.hpp"
#include "relay/detail/delivery_log.hpp"
#include "relay/detail/delivery_page.hpp"
#include "relay/detail/withdrawn.hpp"
#include "telemetry/log.hpp"
#include "telemetry/semconv.hpp"

#include <algorithm>
#include <functional>
#include <span>
#include <utility>

namespace txstream::relay {

namespace {

constexpr std::string_view kComponent = "relay";

double seconds(std::chrono::nanoseconds duration) {
    return std::chrono::duration<double>(duration).count();
}

bool is_refusal(Outcome outcome) {
    return outcome == Outcome::refused_event || outcome == Outcome::refused_for_now;
}

}  // namespace

void Delivery::on_reports(Path path, std::span<const Report> reports) {
    const auto now = look_at_clocks();
    const auto refused =
        static_cast<std::size_t>(std::ranges::count_if(reports, is_refusal, &Report::outcome));
    bool any_acknowledged = false;
    for (const auto& report : reports) {
        any_acknowledged = any_acknowledged || report.outcome == Outcome::acknowledged;
        on_report(path, report, refused, now);
    }
    if (any_acknowledged) {
        dependencies_.gate.acknowledged(now, in_flight() > 0);
        // A late one does not end the wait for an open breaker.
        if (!dependencies_.gate.is_held_by_breaker()) blockages_.clear(Blockage::kafka_unavailable);
        if (!needs_restart_) send_error_.clear();
        update_delay();
    } else if (in_flight() == 0) {
        dependencies_.gate.forgotten();
    }
    // Nothing is left to wait for.
    if (needs_restart_ && fast_in_flight_ == 0) restart_at_ = now;
    if (blocked_ && dependencies_.gate.state() != DeliveryGate::State::paused) pump();
    dependencies_.reader.notify();
    if (has_acknowledgements()) dependencies_.keeper.notify();
}

void Delivery::on_report(
    Path path, const Report& report, std::size_t refused, Clock::time_point now
) {
    auto& slot = *static_cast<Slot*>(report.context);
    auto& lane = *slot.page->lane;
    if (report.outcome != Outcome::acknowledged && send_error_.empty() &&
        !is_withdrawn(report.error))
        send_error_ = report.error;
    if (path == Path::fast) --fast_in_flight_;
    switch (report.outcome) {
        case Outcome::acknowledged:
            on_acknowledged(path, lane, slot, report, now);
            break;
        case Outcome::refused_event:
        case Outcome::refused_for_now:
            on_refused(path, lane, slot, report, refused);
            break;
        case Outcome::refused_topic:
            on_topic_refused(path, lane, slot, report.error);
            break;
        case Outcome::retryable:
            on_retryable(path, lane, slot, report);
            break;
    }
}

void Delivery::on_acknowledged(
    Path path, Lane& lane, Slot& slot, const Report& report, Clock::time_point now
) {
    auto& page = *slot.page;
    const auto& event = page.event_of(slot);
    page.note(event.topic, report.partition, report.offset);
    const auto age = outbox::plausible_age(event.identity.created_at, wall(now));
    page.tally.published(
        event.topic,
        event.identity.event_type,
        seconds(now - page.handed_over_at),
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
    if (!lane.tries.empty()) lane.tries.forget(event.identity.id);
    if (path == Path::fast) {
        --page.fast;
        --lane.fast;
        --page.in_flight;
        lane.machine.published(page.number);
        settled(lane, slot);
        return;
    }
    topics_.taken(topic_of(event), now);
    off_careful_path(slot);
    auto& queue = *lane.aside.find(event.key)->second;
    leave_aside(lane, queue);
    lane.machine.published(page.number);
    settled(lane, slot);
    next_of_key(lane, queue);
}

// In a batch of many the refusal may be its neighbour's fault: only one that was alone is to blame.
void Delivery::on_refused(
    Path path, Lane& lane, Slot& slot, const Report& report, std::size_t refused
) {
    const auto now = Clock::now();
    auto& page = *slot.page;
    const auto& event = page.event_of(slot);
    auto& topic = topic_of(event);
    const auto& one = path == Path::fast ? fast_ : careful_;
    one->refused(report.error, event.topic, event.bytes(), refused);
    topics_.refused(topic, report.error, refused, now);
    lane.tries.add(event.identity.id, refused > 1 ? kBatchRefused : kRecordRefused);
    const auto why = [&] { return one->explain(report.error, event.topic, event.bytes()); };
    note_refusal({.refused = 1}, event, report.error, why, now);
    if (path == Path::fast) {
        explained();
        take_back(lane, slot);
        must_restart(refused > 1 ? kBatchRefused : kRecordRefused);
        restart_at_ = std::max(restart_at_, now + limits_.reports_grace);
        return;
    }
    if (refused > 1) return back_aside(lane, slot);
    auto& queue = *lane.aside.find(event.key)->second;
    ++slot.attempts;
    if (report.outcome == Outcome::refused_for_now && slot.attempts < limits_.attempts_max) {
        dependencies_.metrics.failed(Failure::publish_error, event.identity.event_type);
        dependencies_.metrics.retried(slot.attempts + 1U, event.identity.event_type);
        queue.retry_at = now + limits_.refused_retry_delay;
        return back_aside(lane, slot);
    }
    off_careful_path(slot);
    park_first(lane, queue, {event.identity.id, slot.attempts, std::string(report.error), why()});
}

void Delivery::on_topic_refused(Path path, Lane& lane, Slot& slot, std::string_view error) {
    const auto& event = slot.page->event_of(slot);
    lane.tries.add(event.identity.id, header_word(Blockage::topic_refused));
    close_topic(topic_of(event), event, error);
    if (path == Path::fast) {
        explained();
        take_back(lane, slot);
        // Nothing of a topic may pass what it has refused, and others of it are on their way.
        must_restart(header_word(Blockage::topic_refused));
        restart_at_ = std::max(restart_at_, Clock::now() + limits_.reports_grace);
        return;
    }
    back_aside(lane, slot);
}

void Delivery::on_retryable(Path path, Lane& lane, Slot& slot, const Report& report) {
    const auto& event = slot.page->event_of(slot);
    const bool is_purged = is_withdrawn(report.error);
    if (report.error != kNeverSent) {
        const auto reason = is_purged ? kProducerRestart : header_word(Blockage::kafka_unavailable);
        lane.tries.add(event.identity.id, reason);
        dependencies_.metrics.resent(Resent::unknown, reason, 1);
    }
    if (!is_purged) {
        // A producer goes down with it, and takes along what was queued behind it.
        if (path == Path::fast) explained();
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
    }
    if (path == Path::careful) return back_aside(lane, slot);
    take_back(lane, slot);
    must_restart(is_purged ? kProducerRestart : header_word(Blockage::kafka_unavailable));
    // It was queued behind a record that was refused. That one's own report says why, and may come
    // later.
    restart_at_ = std::max(restart_at_, Clock::now() + limits_.reports_grace);
}

// The producer's end and the report that says why come in any order.
void Delivery::explained() {
    unexplained_.reset();
    is_explained_ = true;
}

// The topic's events wait, and later ones of their keys; everything else goes on.
void Delivery::close_topic(Topic& topic, const WireEvent& event, std::string_view error) {
    const auto now = Clock::now();
    const bool is_news = topics_.closed(topic, error, now);
    dependencies_.metrics.failed(Failure::publish_error, event.identity.event_type);
    const auto why = [&] {
        const auto& any = careful_ ? careful_ : fast_;
        return any ? any->explain(error, event.topic, event.bytes()) : std::string(error);
    };
    note_refusal({.waiting = 1}, event, error, why, now);
    if (!is_news) return;
    for (auto& [id, lane] : lanes_) {
        const auto heads = lane.heads.find(&topic);
        if (heads == lane.heads.end()) continue;
        for (const auto* queue : heads->second)
            for (auto* slot : queue->events) slot->waited = Waited::topic;
    }
}

void Delivery::note_refusal(
    RefusalLog::Counts counts,
    const WireEvent& event,
    std::string_view error,
    const std::function<std::string()>& why,
    Clock::time_point now
) {
    if (dependencies_.refusals == nullptr) return;
    tell_refusals(dependencies_.refusals->add(
        counts,
        [&] {
            const auto trace = trace_of(event);
            return RefusalLog::Example{
                std::string(event.identity.event_id),
                trace ? telemetry::to_string(trace->trace_id) : std::string(),
                std::string(event.topic),
                std::string(error),
                why()
            };
        },
        now
    ));
}

void Delivery::tell_refusals(const std::optional<RefusalLog::Line>& line) const {
    if (!line) return;
    const auto& [counts, example] = *line;
    std::vector<log::Field> fields{
        {"refused", counts.refused},
        {"waiting", counts.waiting},
        {"parked", counts.parked},
        {"event_id", example.event_id},
        {"topic", example.topic},
        {"error_type", example.error_type},
        {"error", example.error}
    };
    if (!example.trace_id.empty()) fields.emplace_back("trace_id", example.trace_id);
    const bool is_loss = counts.parked > 0;
    log::write(
        is_loss ? log::Level::error : log::Level::warn,
        kComponent,
        is_loss ? "parked an event" : "Kafka refuses events",
        fields
    );
}

void Delivery::settled(Lane& lane, Slot& slot) {
    auto& page = *slot.page;
    slot.state = EventState::settled;
    if (--page.open == 0) completed(page);
    make_room(lane, page);
}

void Delivery::completed(Page& page) {
    if (page.tally.events() > 0) dependencies_.metrics.published(page.tally);
    if (page.tally.events() > 0) trace(page, {});
    auto& lane = *page.lane;
    while (lane.complete < lane.pages.size() && lane.pages[lane.complete]->open == 0)
        unrecorded_ += lane.pages[lane.complete++]->count;
    dependencies_.keeper.notify();
}

// Of a page that waits, and of those behind it, only what is set aside counts.
void Delivery::make_room(Lane& lane, Page& page) {
    if (lane.pages.front()->aside == 0 || page.next < page.count || page.in_flight > 0 ||
        page.open > page.aside)
        return;
    if (page.wire.size() < 2 * page.open || page.wire.empty()) return;
    page.compact();
    const auto before = std::exchange(page.bytes, std::min(page.bytes, page.memory()));
    in_flight_bytes_ -= before - page.bytes;
}

void Delivery::make_room(Lane& lane) {
    if (lane.pages.empty() || lane.pages.front()->aside == 0) return;
    for (auto& page : lane.pages) make_room(lane, *page);
}

void Delivery::trace(Page& page, std::string_view error) {
    if (!spans_.is_on()) return;
    SendSpans::Page sent{
        .events = std::span(page.wire).first(std::min(page.next, page.wire.size())),
        .count = page.open == 0 ? page.tally.events() : page.next,
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

}  // namespace txstream::relay
