// Delivery: which lanes it owns, and what of them may be read.

#include "base/assert.hpp"
#include "relay/delivery.hpp"
#include "relay/detail/delivery_page.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

namespace txstream::relay {

namespace {

// Before a page of a group that is ahead of them.
constexpr std::size_t kRearPages = 3;

}  // namespace

WorkerBlockages Delivery::blockages(std::size_t part) const {
    TXS_ASSERT(part < kPartsOfWorker, "each part tells for itself");
    return {dependencies_.blockages, dependencies_.worker * kPartsOfWorker + part};
}

void Delivery::add_lane(outbox::ClaimedLane claimed, Clock::time_point publish_until) {
    const auto id = claimed.lane;
    TXS_ASSERT(!owns(id), "a lane is claimed once");
    auto& lane = lanes_
                     .emplace(
                         id,
                         Lane{
                             .machine = LaneMachine(std::move(claimed), limits_.lane),
                             .publish_until = publish_until
                         }
                     )
                     .first->second;
    if (!delay_.empty()) lane.worker_delay.begin(delay_);
    // Connecting and asking for a producer id takes time that the first event should not wait for;
    // if it fails, the first event tries again and says so.
    (void)publisher(Path::fast);
}

std::vector<LaneId> Delivery::lanes() const {
    std::vector<LaneId> all;
    for (const auto& [id, lane] : lanes_) all.push_back(id);
    return all;
}

void Delivery::renewed(const std::vector<LaneId>& lanes, Clock::time_point publish_until) {
    std::vector<LaneId> lost;
    for (auto& [id, lane] : lanes_) {
        if (std::ranges::find(lanes, id) == lanes.end()) {
            lost.push_back(id);
        } else {
            lane.publish_until = publish_until;
        }
    }
    for (const auto id : lost) lose(id);
}

void Delivery::lose(LaneId id) {
    const auto found = lanes_.find(id);
    if (found == lanes_.end()) return;
    auto& lane = found->second;
    // What is queued must not leave this process once the next owner publishes. The reader, which
    // makes the next publisher, may be waiting for a database that hangs.
    if (lane.fast > 0) must_restart(kLaneLost);
    if (needs_restart_) fast_.reset();
    if (!lane.careful.empty()) end_careful(kLaneLost);
    fast_in_flight_ -= lane.fast;
    for (std::size_t i = 0; i < lane.complete; ++i) unrecorded_ -= lane.pages[i]->count;
    for (const auto& page : lane.pages) {
        events_ -= page->count;
        in_flight_bytes_ -= page->bytes;
        aside_ -= page->aside;
    }
    for (const auto& [key, queue] : lane.aside) {
        for (const auto* slot : queue->events) {
            const auto& event = slot->page->event_of(*slot);
            aside_bytes_ -= event.memory();
            --topic_of(event).aside;
        }
    }
    if (dependencies_.lane_lost) dependencies_.lane_lost(id);
    if (lane.machine.is_acknowledging()) --acknowledging_;
    count_resent(lane);
    lanes_.erase(found);
    tell_load();
    dependencies_.reader.notify();
}

void Delivery::lose_all() {
    ++lives_;
    for (const auto id : lanes()) lose(id);
}

void Delivery::begin_leaving(LaneId lane) {
    lanes_.at(lane).is_leaving = true;
}

void Delivery::stay(LaneId lane) {
    const auto found = lanes_.find(lane);
    if (found == lanes_.end()) return;
    found->second.is_leaving = false;
    dependencies_.reader.notify();
}

bool Delivery::has_come_to_its_end(LaneId lane) const {
    const auto found = lanes_.find(lane);
    return found != lanes_.end() && found->second.pages.empty();
}

bool Delivery::is_held_up(LaneId id) const {
    const auto found = lanes_.find(id);
    if (found == lanes_.end()) return false;
    const auto& lane = found->second;
    return std::ranges::any_of(lane.heads, [&](const auto& entry) {
        const auto& [topic, queues] = entry;
        return topics_.is_closed(*topic) || std::ranges::any_of(queues, [&](const KeyQueue* queue) {
                   return lane.machine.waits(queue->key);
               });
    });
}

std::vector<LaneId> Delivery::lanes_by_ease() const {
    auto all = lanes();
    const auto place = [this](LaneId id) {
        const auto& lane = lanes_.at(id);
        // The owner of the first lane tells of the whole outbox: that stays where it is.
        return std::tuple(lane.aside.size(), lane.pages.size(), -id.value());
    };
    std::ranges::sort(all, {}, place);
    return all;
}

std::size_t Delivery::lose_expired(Clock::time_point now) {
    std::vector<LaneId> lost;
    for (const auto& [id, lane] : lanes_) {
        if (lane.publish_until <= now) lost.push_back(id);
    }
    for (const auto id : lost) lose(id);
    return lost.size();
}

std::optional<Delivery::Clock::time_point> Delivery::first_expiry() const {
    std::optional<Clock::time_point> first;
    for (const auto& [id, lane] : lanes_) {
        if (!first || lane.publish_until < *first) first = lane.publish_until;
    }
    return first;
}

void Delivery::doubt() {
    ++doubts_;
    dependencies_.keeper.notify();
}

void Delivery::trust(std::uint64_t doubts) {
    trusted_ = std::max(trusted_, doubts);
    if (!is_in_doubt()) dependencies_.reader.notify();
}

// With nothing in hand that would try KAFKA_TOPIC again, something has to be read.
bool Delivery::may_read() {
    const auto& usual = topics_.default_topic();
    if (is_in_doubt() || paused_.everything() || usual.is_paused) return false;
    return !topics_.is_closed(usual) || usual.aside == 0;
}

std::map<std::string, Delivery::PollGroup> Delivery::lanes_to_poll() {
    update_delay();
    std::map<std::string, PollGroup> groups;
    if (!may_read()) return groups;
    for (const auto& [id, lane] : lanes_) {
        if (lane.machine.is_paging() || !lane.machine.has_room() || lane.is_leaving) continue;
        const auto& cursor = lane.machine.cursor();
        groups.try_emplace(cursor.text(), PollGroup{cursor, {}}).first->second.lanes.push_back(id);
    }
    return groups;
}

std::vector<Delivery::PageGroup> Delivery::groups_paging() const {
    std::vector<PageGroup> groups;
    for (const auto& [id, lane] : lanes_) {
        const auto& machine = lane.machine;
        if (!machine.is_paging()) continue;
        auto group = std::ranges::find_if(groups, [&](const PageGroup& one) {
            return one.is_place_of(machine);
        });
        if (group == groups.end()) {
            groups.push_back({machine.cursor(), machine.target(), machine.read_up_to(), {}, {}});
            group = std::prev(groups.end());
        }
        if (machine.has_room() && !lane.is_leaving) group->lanes.push_back(id);
    }
    return groups;
}

std::optional<Delivery::PageGroup> Delivery::group_to_page() {
    if (!may_read()) return std::nullopt;
    auto groups = groups_paging();
    std::vector<PageGroup*> rear;
    std::vector<PageGroup*> ahead;
    for (auto& group : groups) {
        if (group.lanes.empty()) continue;
        for (const auto& other : groups) {
            if (!group.is_in_same_window(other)) continue;
            if (other.after > group.after)
                group.joins_at = std::min(group.joins_at.value_or(other.after), other.after);
            if (other.after < group.after && !other.lanes.empty()) group.is_ahead = true;
        }
        (group.is_ahead ? ahead : rear).push_back(&group);
    }
    if (rear.empty()) return std::nullopt;
    if (!ahead.empty() && rear_in_a_row_ >= kRearPages) {
        rear_in_a_row_ = 0;
        return *ahead[++ahead_paged_ % ahead.size()];
    }
    ++rear_in_a_row_;
    return *rear[++rear_paged_ % rear.size()];
}

std::optional<outbox::Snapshot> Delivery::target_from(const outbox::Snapshot& cursor) const {
    for (const auto& [id, lane] : lanes_) {
        const auto& machine = lane.machine;
        if (machine.is_paging() && machine.cursor() == cursor) return machine.target();
    }
    return std::nullopt;
}

LaneMachine& Delivery::machine(LaneId lane) {
    return lanes_.at(lane).machine;
}

}  // namespace txstream::relay
