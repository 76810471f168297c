// Delivery: what is to be written of what Kafka has.

#include "relay/delivery.hpp"
#include "relay/detail/delivery_page.hpp"
#include "telemetry/log.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace txstream::relay {

namespace {

double seconds(std::chrono::nanoseconds duration) {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace

bool Delivery::can_acknowledge(const Lane& lane) const {
    return lane.machine.can_acknowledge() && lane.put_off_until <= Clock::now();
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

bool Delivery::is_acknowledgement_urgent() const {
    return !has_room() || unrecorded_ >= limits_.unrecorded_urgent ||
           std::ranges::any_of(lanes_, [this](const auto& entry) {
               return entry.second.is_leaving && can_acknowledge(entry.second);
           });
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
        count_parked(page);
        events_ -= page.count;
        unrecorded_ -= page.count;
        --lane.complete;
        in_flight_bytes_ -= page.bytes;
        lane.pages.pop_front();
    }
    make_room(lane);
    if (acknowledgement.publication.events > 0)
        tell_published(batch_log_.add(acknowledgement.publication.events, now));
    tell_load();
    if (blocked_ && dependencies_.gate.state() != DeliveryGate::State::paused) pump();
    dependencies_.reader.notify();
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

void Delivery::count_parked(const Page& page) {
    for (const auto& one : page.parked) {
        dependencies_.metrics.parked(one.error_class, one.topic, one.event_type);
        if (dependencies_.refusals == nullptr) continue;
        tell_refusals(dependencies_.refusals->add(
            {.parked = 1},
            [&] {
                return RefusalLog::Example{
                    one.event_id, one.trace_id, one.topic, one.error_class, one.error
                };
            },
            Clock::now()
        ));
    }
}

// What of the lane is in hand is published again, by us or by the next owner. What Kafka
// acknowledged meanwhile it will have twice.
void Delivery::count_resent(const Lane& lane) {
    std::uint64_t acknowledged = 0;
    std::uint64_t unknown = 0;
    for (const auto& page : lane.pages) {
        acknowledged += page->tally.events();
        unknown += page->in_flight;
    }
    if (acknowledged > 0)
        dependencies_.metrics.resent(Resent::acknowledged, kLaneLost, acknowledged);
    if (unknown > 0) dependencies_.metrics.resent(Resent::unknown, kLaneLost, unknown);
}

std::vector<outbox::RecordRange> Delivery::records_of(const Lane& lane, std::size_t pages) {
    std::vector<outbox::RecordRange> all;
    for (std::size_t i = 0; i < pages; ++i) {
        for (const auto& range : lane.pages[i]->ranges) outbox::add_records(all, range);
    }
    return all;
}

}  // namespace txstream::relay
