// Delivery: the producers' lives, from their making to what ends them.

#include "relay/delivery.hpp"
#include "relay/detail/delivery_page.hpp"
#include "telemetry/log.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace txstream::relay {

namespace {

constexpr std::string_view kComponent = "relay";
// How a producer that promises no gaps ends when a record is refused, whatever the reason.
constexpr std::string_view kGapless = "_GAPLESS_GUARANTEE";

}  // namespace

Result<Publisher*> Delivery::publisher(Path path) {
    auto& one = path == Path::fast ? fast_ : careful_;
    if (!one) {
        TXS_TRY(one, dependencies_.publisher(dependencies_.executor, path, events_of(path)));
    }
    return one.get();
}

Result<Publisher*> Delivery::publisher_in_batch(Path path) {
    TXS_TRY(auto* const one, publisher(path));
    auto& has_begun = path == Path::fast ? has_fast_batch_ : has_careful_batch_;
    if (!has_begun) TXS_CHECK(one->begin());
    has_begun = true;
    return one;
}

// One pump is one batch of each publisher that it hands something to.
void Delivery::end_batch(Path path) {
    const bool is_fast = path == Path::fast;
    if (!std::exchange(is_fast ? has_fast_batch_ : has_careful_batch_, false)) return;
    auto& one = is_fast ? *fast_ : *careful_;
    if (is_fast ? needs_restart_ : must_end_careful_) return one.abort();
    const auto committed = one.commit();
    if (committed) return;
    fail("publish_error", committed.error());
    if (is_fast) {
        must_restart(kProducerRestart);
    } else {
        must_end_careful_ = true;
    }
}

PublisherEvents Delivery::events_of(Path path) {
    PublisherEvents events;
    events.reports = [this, path](std::span<const Report> reports) { on_reports(path, reports); };
    events.ready = [this] {
        if (blocked_ && dependencies_.gate.state() != DeliveryGate::State::paused) pump();
        dependencies_.reader.notify();
    };
    events.fatal = [this, path](const Error& error) {
        if (path == Path::careful) {
            must_end_careful_ = blocked_ = true;
            fail("producer_fatal", error);
        } else {
            has_given_up(error, Clock::now());
            if (error.origin() != kGapless) {
                unexplained_.reset();
                fail("producer_fatal", error);
            }
        }
        dependencies_.reader.notify();
    };
    events.brokers_down = [this](const Error& error) {
        // Brokers close idle connections; that says nothing of the next record.
        if (in_flight() > 0) {
            fail("brokers_down", error);
        } else {
            dependencies_.gate.doubted();
            if (dependencies_.kafka_doubted) dependencies_.kafka_doubted();
        }
    };
    return events;
}

// The record that caused it is not known yet: its report is on its way.
void Delivery::has_given_up(const Error& error, Clock::time_point now) {
    must_restart(kProducerRestart);
    restart_at_ = std::max(restart_at_, now + limits_.reports_grace);
    if (!is_explained_) unexplained_ = error;
}

void Delivery::must_restart(DelayReason reason) {
    needs_restart_ = true;
    if (restart_reason_.empty() || restart_reason_ == kProducerRestart) restart_reason_ = reason;
}

std::optional<Delivery::Clock::time_point> Delivery::stale_at() const {
    if (!fast_ || in_flight() == 0 || needs_restart_ || must_end_careful_) return std::nullopt;
    const auto waiting_max = fast_->waiting_max();
    if (!waiting_max) return std::nullopt;
    std::optional<Clock::time_point> oldest;
    for (const auto& [id, lane] : lanes_) {
        // Of many pages that wait behind one the last alone have something in flight.
        auto left = lane.in_flight();
        for (auto page = lane.pages.rbegin(); left > 0; ++page) {
            const auto& one = **page;
            if (one.in_flight == 0) continue;
            left -= one.in_flight;
            oldest = std::min(oldest.value_or(one.in_flight_since), one.in_flight_since);
        }
    }
    if (!oldest) return std::nullopt;
    return *oldest + *waiting_max;
}

void Delivery::take_back_stale() {
    log::warn(
        kComponent,
        "records have waited too long in the producer; they are sent again with a new timestamp",
        {{"events", in_flight()}}
    );
    must_restart(kWaitedTooLong);
    if (careful_in_flight_ > 0) end_careful(kWaitedTooLong);
    dependencies_.reader.notify();
}

void Delivery::fail(std::string_view kind, const Error& error) {
    const double uniform = std::uniform_real_distribution<double>(0.0, 1.0)(random_);
    const auto failure = dependencies_.gate.failed(Clock::now(), uniform);
    if (!failure) return;
    if (send_error_.empty())
        send_error_ = error.origin().empty() ? std::string(kind) : error.origin();
    blockages_.set(Blockage::kafka_unavailable, error.what());
    update_delay();
    dependencies_.metrics.retry_delay(failure->retry, failure->delay);
    count_retried(failure->retry);
    log::warn(
        kComponent,
        "publishing pauses; events wait and no attempt is counted",
        {{"error_type", kind},
         {"error", error.what()},
         {"attempt", failure->retry},
         {"delay_ms", failure->delay.count()}}
    );
    dependencies_.reader.notify();
}

void Delivery::restart() {
    fast_.reset();
    const auto reason = restart_reason_.empty() ? kProducerRestart : restart_reason_;
    std::uint64_t unknown = 0;
    for (auto& [id, lane] : lanes_) {
        for (const auto& page : lane.pages) {
            unknown += page->fast;
            for (std::size_t i = page->first_fast; page->fast > 0; ++i) {
                auto& slot = page->slots[i];
                if (slot.state != EventState::fast) continue;
                lane.tries.add(page->event_of(slot).identity.id, reason);
                take_back(lane, slot);
            }
            if (std::exchange(page->lost, 0U) > 0) trace(*page, send_error_);
        }
        make_room(lane);
    }
    if (unknown > 0) dependencies_.metrics.resent(Resent::unknown, reason, unknown);
    restart_reason_ = {};
    fast_in_flight_ = 0;
    needs_restart_ = is_explained_ = false;
    restart_at_ = {};
    tell_load();
    if (in_flight() == 0) dependencies_.gate.forgotten();
    if (const auto error = std::exchange(unexplained_, std::nullopt))
        fail("producer_fatal", *error);
    send_error_.clear();
    // Connecting takes time that the first record should not wait for.
    if (!is_closed_) (void)publisher(Path::fast);
}

void Delivery::replace_careful() {
    if (must_end_careful_) end_careful(kProducerRestart);
}

void Delivery::end_careful(DelayReason reason) {
    careful_.reset();
    must_end_careful_ = false;
    std::uint64_t unknown = 0;
    for (auto& [id, lane] : lanes_) {
        for (auto& [key, queue] : lane.aside) {
            auto& first = *queue->events.front();
            if (first.state != EventState::careful) continue;
            ++unknown;
            lane.tries.add(first.page->event_of(first).identity.id, reason);
            back_aside(lane, first);
        }
    }
    if (unknown > 0) dependencies_.metrics.resent(Resent::unknown, reason, unknown);
    if (in_flight() == 0) dependencies_.gate.forgotten();
}

void Delivery::off_careful_path(Slot& slot) {
    slot.state = EventState::aside;
    --slot.page->in_flight;
    --careful_in_flight_;
    auto& topic = topic_of(slot.page->event_of(slot));
    --topic.in_flight;
    auto& of_lane = slot.page->lane->careful;
    if (const auto found = of_lane.find(&topic); --found->second == 0) of_lane.erase(found);
}

void Delivery::back_aside(Lane& lane, Slot& slot) {
    off_careful_path(slot);
    begin_queue(lane, *lane.aside.find(slot.page->event_of(slot).key)->second);
    make_room(lane, *slot.page);
}

bool Delivery::expects_reports() const {
    return in_flight() > 0 && !dependencies_.blockages.contains(Blockage::kafka_unavailable);
}

void Delivery::count_retried(unsigned retry) {
    std::map<std::string_view, std::uint64_t> by_type;
    for (const auto& [id, lane] : lanes_) {
        for (const auto& page : lane.pages) {
            if (page->open > 0 && page->next > 0)
                by_type[page->wire.front().identity.event_type] += page->open;
        }
    }
    for (const auto& [type, events] : by_type) dependencies_.metrics.retried(retry, type, events);
}

}  // namespace txstream::relay
