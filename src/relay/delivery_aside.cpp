// Delivery: what is not on the fast path, by key, and the way that it finds from there.

#include "base/assert.hpp"
#include "relay/delivery.hpp"
#include "relay/detail/delivery_log.hpp"
#include "relay/detail/delivery_page.hpp"

#include <algorithm>
#include <utility>

namespace txstream::relay {

namespace {

Waited waited_for(const TopicPaths::Topic& topic) {
    return topic.is_paused ? Waited::pause : Waited::topic;
}

bool is_before(const auto& left, const auto& right) {
    if (left.page != right.page) return left.page->number < right.page->number;
    return left.page->place_of(left) < right.page->place_of(right);
}

}  // namespace

// --- queues by key

void Delivery::set_aside(Lane& lane, Slot& slot) {
    auto& page = *slot.page;
    const auto& event = page.event_of(slot);
    slot.state = EventState::aside;
    ++page.aside;
    ++aside_;
    lane.machine.set_aside(page.number);
    aside_bytes_ += event.memory();
    ++topic_of(event).aside;
    auto found = lane.aside.find(event.key);
    const bool is_first = found == lane.aside.end();
    if (is_first) {
        auto queue = std::make_unique<KeyQueue>();
        queue->key = event.key;
        const std::string_view key = queue->key;
        found = lane.aside.emplace(key, std::move(queue)).first;
    }
    auto& queue = *found->second;
    queue.events.push_back(&slot);
    const auto& first = *queue.events.front();
    if (const auto& topic = topic_of(first.page->event_of(first)); topics_.is_closed(topic))
        slot.waited = waited_for(topic);
    if (is_first) begin_queue(lane, queue);
}

void Delivery::take_back(Lane& lane, Slot& slot) {
    auto& page = *slot.page;
    TXS_ASSERT(slot.state == EventState::fast, "only the fast path loses events");
    --page.fast;
    --lane.fast;
    --page.in_flight;
    ++page.lost;
    const auto& event = page.event_of(slot);
    const auto found = lane.aside.find(event.key);
    if (found == lane.aside.end()) return set_aside(lane, slot);
    slot.state = EventState::aside;
    ++page.aside;
    ++aside_;
    lane.machine.set_aside(page.number);
    aside_bytes_ += event.memory();
    auto& topic = topic_of(event);
    ++topic.aside;
    // They come back in their order.
    auto& queue = *found->second;
    auto place = queue.events.end();
    while (place != queue.events.begin() && is_before(slot, **std::prev(place))) --place;
    if (place != queue.events.begin()) {
        queue.events.insert(place, &slot);
        return;
    }
    const auto& first = *queue.events.front();
    TXS_ASSERT(first.state == EventState::aside, "nothing passes what is on the fast path");
    const bool is_elsewhere = &topic_of(first.page->event_of(first)) != &topic;
    if (is_elsewhere) leave_heads(lane, queue);
    queue.events.push_front(&slot);
    if (is_elsewhere) begin_queue(lane, queue);
}

void Delivery::begin_queue(Lane& lane, KeyQueue& queue) {
    auto& first = *queue.events.front();
    auto& topic = topic_of(first.page->event_of(first));
    lane.heads[&topic].push_back(&queue);
    blocked_ = true;
    if (!topics_.is_closed(topic) || first.waited != Waited::no) return;
    for (auto* slot : queue.events) slot->waited = waited_for(topic);
}

void Delivery::leave_heads(Lane& lane, const KeyQueue& queue) {
    const auto& first = *queue.events.front();
    const auto heads = lane.heads.find(&topic_of(first.page->event_of(first)));
    if (heads == lane.heads.end()) return;
    std::erase(heads->second, &queue);
    if (heads->second.empty()) lane.heads.erase(heads);
}

void Delivery::leave_aside(Lane& lane, KeyQueue& queue) {
    auto& slot = *queue.events.front();
    auto& page = *slot.page;
    const auto& event = page.event_of(slot);
    queue.events.pop_front();
    queue.retry_at = {};
    --page.aside;
    --aside_;
    lane.machine.take_up(page.number);
    aside_bytes_ -= event.memory();
    --topic_of(event).aside;
}

void Delivery::next_of_key(Lane& lane, KeyQueue& queue) {
    if (queue.events.empty()) {
        lane.aside.erase(lane.aside.find(queue.key));
    } else {
        begin_queue(lane, queue);
    }
}

void Delivery::park_first(Lane& lane, KeyQueue& queue, outbox::ParkedEvent parked) {
    auto& slot = *queue.events.front();
    leave_aside(lane, queue);
    park(lane, slot, std::move(parked));
    park_behind(lane, queue);
}

// The queue may stand behind others of its topic that wait.
void Delivery::hold(Lane& lane, const std::string& key) {
    lane.machine.hold(key);
    const auto found = lane.aside.find(key);
    if (found == lane.aside.end()) return;
    auto& queue = *found->second;
    if (queue.events.front()->state != EventState::aside) return;
    leave_heads(lane, queue);
    park_behind(lane, queue);
}

void Delivery::hold(LaneId lane, const std::string& key) {
    hold(lanes_.at(lane), key);
}

void Delivery::park_behind(Lane& lane, KeyQueue& queue) {
    while (!queue.events.empty()) {
        auto& slot = *queue.events.front();
        if (lane.machine.way_of(queue.key, slot.page->number) != LaneMachine::Way::behind) break;
        leave_aside(lane, queue);
        park(lane, slot, {});
    }
    next_of_key(lane, queue);
}

// --- finding a way

void Delivery::pump_aside(Lane& lane, Clock::time_point now) {
    if (lane.heads.empty()) return;
    is_full_ = false;
    const auto before = in_flight();
    for (auto entry = lane.heads.begin(); entry != lane.heads.end();) {
        auto& [topic, queues] = *entry;
        const auto turn = std::exchange(queues, {});
        auto queue = turn.begin();
        while (queue != turn.end() && pump_queue(lane, **queue, *topic, now)) ++queue;
        // In front of what has come up meanwhile.
        if (queue != turn.end()) queues.insert(queues.begin(), queue, turn.end());
        entry = queues.empty() ? lane.heads.erase(entry) : std::next(entry);
    }
    // A report may let it go.
    blocked_ = blocked_ || !lane.heads.empty();
    if (in_flight() > before) dependencies_.gate.sent(now);
}

// Takes the queue out of the heads; where its first event stays there, puts it back. False: it, and
// all others of its topic, are left where they are.
bool Delivery::pump_queue(Lane& lane, KeyQueue& queue, Topic& topic, Clock::time_point now) {
    auto& slot = *queue.events.front();
    const auto& event = slot.page->event_of(slot);
    switch (lane.machine.way_of(event.key, slot.page->number)) {
        case LaneMachine::Way::behind:
            park_behind(lane, queue);
            return true;
        case LaneMachine::Way::waits:
            begin_queue(lane, queue);
            return true;
        case LaneMachine::Way::free:
            break;
    }
    if (paused_.key(event.key)) {
        if (must_wait(lane, slot)) {
            begin_queue(lane, queue);
        } else {
            park_first(lane, queue, {event.identity.id, 0, std::string(kPaused), "its key", true});
        }
        return true;
    }
    if (topics_.is_given_up(topic, now) && !topics_.may_send(topic, now)) {
        if (must_wait(lane, slot)) return false;
        const auto id = event.identity.id;
        if (topic.is_paused) {
            park_first(lane, queue, {id, 0, std::string(kPaused), "topic " + topic.name, true});
        } else {
            park_first(lane, queue, {id, 1, topic.error, explain(topic, event), true});
        }
        return true;
    }
    switch (way_of(topic, now)) {
        case Way::none:
            return false;
        case Way::fast:
            if (is_full_) return false;
            pump_fast(lane, queue, now);
            return true;
        case Way::careful:
            return pump_careful(lane, queue, topic, now);
    }
    return false;
}

// As many of the key as go the fast way: they keep their order there.
void Delivery::pump_fast(Lane& lane, KeyQueue& queue, Clock::time_point now) {
    while (!queue.events.empty()) {
        auto& slot = *queue.events.front();
        auto& topic = topic_of(slot.page->event_of(slot));
        if (way_of(topic, now) != Way::fast) break;
        switch (send(Path::fast, lane, slot, now)) {
            case Sent::taken:
                leave_aside(lane, queue);
                break;
            case Sent::impossible:
                if (has_fast_before(lane, slot)) return begin_queue(lane, queue);
                return park_first(lane, queue, std::exchange(impossible_, {}));
            case Sent::topic_refused:
                return begin_queue(lane, queue);
            case Sent::full:
            case Sent::failed:
                // Some of the key may have gone, and the next may be of another topic.
                is_full_ = true;
                return begin_queue(lane, queue);
        }
    }
    next_of_key(lane, queue);
}

bool Delivery::pump_careful(Lane& lane, KeyQueue& queue, Topic& topic, Clock::time_point now) {
    if (must_end_careful_ || !topics_.may_send(topic, now)) return false;
    auto& slot = *queue.events.front();
    // What comes later in the lane would find the same.
    if (must_wait(lane, slot)) return false;
    if (now < queue.retry_at) {
        begin_queue(lane, queue);
        return true;
    }
    switch (send(Path::careful, lane, slot, now)) {
        case Sent::taken:
            return true;
        case Sent::impossible:
            park_first(lane, queue, std::exchange(impossible_, {}));
            return true;
        case Sent::topic_refused:
        case Sent::full:
        case Sent::failed:
            break;
    }
    blocked_ = true;
    return false;
}

// Of what was taken back from the fast path, later events of the key may still be there.
bool Delivery::must_wait(Lane& lane, const Slot& slot) const {
    return (needs_restart_ && lane.fast > 0) || has_fast_before(lane, slot);
}

bool Delivery::has_fast_before(Lane& lane, const Slot& slot) {
    if (lane.fast == 0) return false;
    const auto front = lane.pages.front()->number;
    lane.first_fast = std::max(lane.first_fast, front);
    while (lane.pages[lane.first_fast - front]->fast == 0) ++lane.first_fast;
    auto& page = *slot.page;
    if (lane.first_fast != page.number) return lane.first_fast < page.number;
    return page.has_fast_before(page.place_of(slot));
}

// --- topics

std::string Delivery::explain(const Topic& topic, const WireEvent& event) const {
    const auto& any = careful_ ? careful_ : fast_;
    auto why = any ? any->explain(topic.error, event.topic, event.bytes()) : topic.error;
    return why + "; WORKER_TOPIC_PATIENCE is over";
}

Delivery::Topic& Delivery::topic_of(const WireEvent& event) {
    auto& usual = topics_.default_topic();
    return event.topic == usual.name ? usual : topics_.of(event.topic);
}

Delivery::Way Delivery::way_of(Topic& topic, Clock::time_point now) {
    if (topic.is_paused) return Way::none;
    if (topics_.is_fast(topic, now)) return needs_restart_ ? Way::none : Way::fast;
    if (topic.state == TopicPaths::State::unproven) {
        if (needs_restart_) return Way::none;
        auto one = publisher(Path::fast);
        const auto is_vouched_for = one ? (*one)->vouches_for(topic.name) : std::optional<bool>();
        if (!is_vouched_for) {
            blocked_ = true;
            return Way::none;
        }
        if (*is_vouched_for) {
            topics_.proven(topic);
            return Way::fast;
        }
    }
    return topics_.may_send(topic, now) ? Way::careful : Way::none;
}

// Of events that wait for a topic or for a replay, with those behind them in their keys.
std::size_t Delivery::bytes_waiting() const {
    std::size_t bytes = 0;
    for (const auto& [id, lane] : lanes_) {
        for (const auto& [topic, queues] : lane.heads) {
            const bool is_closed = topics_.is_closed(*topic);
            for (const auto* queue : queues) {
                if (!is_closed && !lane.machine.waits(queue->key)) continue;
                for (const auto* slot : queue->events)
                    bytes += slot->page->event_of(*slot).memory();
            }
        }
    }
    return bytes;
}

// Of pages in which nothing is left that does not wait: a page costs more than a small event in it.
// Those behind them that are done cannot be written before them, and are kept for the same reason.
std::size_t Delivery::bytes_of_waiting_pages() const {
    std::size_t bytes = 0;
    for (const auto& [id, lane] : lanes_) {
        bool is_behind = false;
        for (const auto& page : lane.pages) {
            is_behind = is_behind || page->aside > 0;
            if (is_behind && page->aside == page->open && page->in_flight == 0)
                bytes += page->bytes;
        }
    }
    return bytes;
}

// Strangers need the room, or can read no further: those that wait give way. Those that wait for a
// replay are parked, and replayed in their turn; of topics the one that has waited longest is given
// up.
void Delivery::end_patience(Clock::time_point now) {
    const auto bytes_max = limits_.in_flight_bytes_max / limits_.waiting_bytes_part;
    bool is_full = std::ranges::any_of(lanes_, [](const auto& entry) {
        return entry.second.machine.waits_for_those_aside();
    });
    const bool has_no_room = in_flight_bytes_ >= limits_.in_flight_bytes_max;
    if ((aside_bytes_ > bytes_max || (has_no_room && aside_ > 0)) && now >= measure_at_) {
        measure_at_ = now + limits_.waiting_bytes_pause;
        is_full = is_full || bytes_waiting() > bytes_max ||
                  (has_no_room && 2 * bytes_of_waiting_pages() > limits_.in_flight_bytes_max);
    }
    if (!is_full) return;
    bool any_held = false;
    for (auto& [id, lane] : lanes_) {
        std::vector<std::string> waiting;
        for (const auto& [key, queue] : lane.aside)
            if (lane.machine.waits(key)) waiting.push_back(queue->key);
        for (const auto& key : waiting) hold(lane, key);
        any_held = any_held || !waiting.empty();
    }
    if (any_held) return;
    Topic* oldest = nullptr;
    for (const auto& [name, topic] : topics_.all()) {
        if (!topics_.is_closed(topic) || topics_.is_given_up(topic, now) || topic.is_default ||
            topic.aside == 0)
            continue;
        if (oldest == nullptr || topic.closed_since < oldest->closed_since)
            oldest = &topics_.of(name);
    }
    if (oldest != nullptr) topics_.give_up(*oldest);
}

}  // namespace txstream::relay
