#include "relay/delivery.hpp"

#include "base/assert.hpp"
#include "relay/detail/delivery_page.hpp"
#include "relay/detail/record.hpp"
#include "telemetry/log.hpp"

#include <algorithm>
#include <set>
#include <utility>

namespace txstream::relay {

namespace {

constexpr std::string_view kComponent = "relay";
constexpr std::string_view kTooLarge = "MSG_SIZE_TOO_LARGE";
// What a producer answers once it has given up; its event says why, and may come later.
constexpr std::string_view kFatal = "_FATAL";

}  // namespace

Delivery::Delivery(Dependencies dependencies, Limits limits)
    : dependencies_(std::move(dependencies)),
      limits_(limits),
      random_(dependencies_.seed),
      headers_(*dependencies_.format),
      spans_(dependencies_.tracing),
      blockages_(dependencies_.blockages, dependencies_.worker * kPartsOfWorker),
      topics_(dependencies_.topic, limits.topics),
      delay_(dependencies_.delayed_before) {
}

Delivery::~Delivery() = default;

void Delivery::look(Clock::time_point now) {
    tell_load();
    const auto waiting_since = dependencies_.gate.waiting_since();
    if (!lanes_.empty() && waiting_since && now - *waiting_since > limits_.silence_max)
        blockages_.set(Blockage::kafka_unavailable, "Kafka acknowledges nothing");
    // Nothing is left of ours that would show when it is back.
    const bool is_idle = lanes_.empty() || (!waiting_since && dependencies_.gate.state() ==
                                                                  DeliveryGate::State::flowing);
    if (is_idle && blockages_.clear(Blockage::kafka_unavailable) && dependencies_.kafka_doubted) {
        dependencies_.kafka_doubted();
    }
    tell_held_lanes();
    tell_slow_topics(now);
    update_delay();
    tell_published(batch_log_.due(now));
    if (dependencies_.refusals != nullptr) tell_refusals(dependencies_.refusals->due(now));
    // What waits for its topic may be due.
    if (in_flight() == 0 && aside_bytes_ > 0 &&
        dependencies_.gate.state() == DeliveryGate::State::flowing)
        pump();
}

void Delivery::tell_slow_topics(Clock::time_point now) {
    if (dependencies_.load == nullptr || now < topics_told_at_ + limits_.topics_pause) return;
    topics_told_at_ = now;
    auto slow = topics_.slow(now);
    if (!slow.empty()) {
        for (const auto& [id, lane] : lanes_) {
            for (const auto& [key, queue] : lane.aside) {
                const auto& first = *queue->events.front();
                const auto& name = first.page->event_of(first).topic;
                const auto topic = std::ranges::find(slow, name, &SlowTopic::name);
                if (topic == slow.end()) continue;
                ++topic->keys;
                topic->events += queue->events.size();
            }
        }
    }
    dependencies_.load->tell(std::move(slow));
}

void Delivery::tell_held_lanes() {
    std::vector<HeldLane> held;
    const Topic* closed = nullptr;
    for (const auto& [id, lane] : lanes_) {
        std::set<const Topic*, TopicPaths::ByName> topics;
        for (const auto& [topic, queues] : lane.heads)
            if (!queues.empty()) topics.insert(topic);
        for (const auto& [topic, events] : lane.careful) topics.insert(topic);
        for (const auto* topic : topics) {
            // What is paused is no fault.
            if (topic->state != TopicPaths::State::closed || topic->is_paused) continue;
            held.push_back({id, Blockage::topic_refused, topic->name});
            if (!topic->is_default) closed = topic;
        }
        if (lane.put_off > 0) held.push_back({id, Blockage::cannot_park, {}});
    }
    const auto& usual = topics_.default_topic();
    blockages_.set_if(
        usual.state == TopicPaths::State::closed,
        Blockage::topic_missing,
        usual.name + ": " + usual.error
    );
    blockages_.set_if(
        closed != nullptr,
        Blockage::topic_refused,
        closed == nullptr ? std::string_view() : closed->name
    );
    blockages_.set_if(
        std::ranges::find(held, Blockage::cannot_park, &HeldLane::why) != held.end(),
        Blockage::cannot_park,
        "see the lines about dead letters"
    );
    blockages_.hold_lanes(std::move(held));
    blockages_.set_if(paused_.any(), Blockage::paused, paused_.text());
}

// A poll looks for the events of all lanes: what holds them up at its beginning is why those that
// it finds are late.
void Delivery::update_delay() {
    DelayReason now;
    if (paused_.everything() || topics_.default_topic().is_paused) {
        now = header_word(Blockage::paused);
    } else if (dependencies_.gate.is_held_by_breaker()) {
        now = kBreakerOpen;
    } else if (const auto blockage = dependencies_.blockages.holding_up(
                   dependencies_.worker * kPartsOfWorker, kPartsOfWorker
               )) {
        now = header_word(*blockage);
    }
    if (now == delay_) return;
    delay_ = now;
    for (auto& [id, lane] : lanes_) {
        if (now.empty()) {
            lane.worker_delay.end(lane.machine.looks());
        } else {
            lane.worker_delay.begin(now);
        }
    }
}

DelayReason Delivery::Lane::late(const Page& page) const {
    const auto own = own_delay.of(page.look);
    return own.empty() ? worker_delay.of(page.look) : own;
}

std::size_t Delivery::Lane::in_flight() const {
    auto all = fast;
    for (const auto& [topic, events] : careful) all += events;
    return all;
}

std::optional<Mark> Delivery::mark_of(const Lane& lane, const Slot& slot) const {
    const auto& page = *slot.page;
    if (!lane.tries.empty())
        if (const auto tries = lane.tries.of(page.wire[slot.index].identity.id))
            return Mark{tries->count + 1, tries->reason};
    if (slot.waited == Waited::topic) return Mark{1, header_word(Blockage::topic_refused)};
    if (slot.waited == Waited::pause) return Mark{1, header_word(Blockage::paused)};
    if (page.late.empty()) return std::nullopt;
    return Mark{1, page.late};
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

void Delivery::tell_load() {
    std::chrono::duration<double> busy{};
    const auto now = Clock::now();
    std::size_t keys = 0;
    Clock::rep publish_until = 0;
    for (auto& [id, lane] : lanes_) {
        keys += lane.aside.size();
        const auto until = lane.publish_until.time_since_epoch().count();
        publish_until = publish_until == 0 ? until : std::min(publish_until, until);
        if (lane.busy_since) busy += now - *lane.busy_since;
        lane.busy_since = lane.pages.empty() ? std::nullopt : std::optional(now);
    }
    if (busy.count() > 0) dependencies_.metrics.lane_busy_seconds.add(busy.count());
    tell_sent();
    if (dependencies_.load == nullptr) return;
    dependencies_.load->events = events_;
    dependencies_.load->bytes = in_flight_bytes_;
    dependencies_.load->aside = aside_;
    dependencies_.load->keys_aside = keys;
    dependencies_.load->publish_until = publish_until;
}

void Delivery::tell_sent() {
    if (fast_sent_ > 0) dependencies_.metrics.sent(Path::fast, std::exchange(fast_sent_, 0));
    if (careful_sent_ > 0)
        dependencies_.metrics.sent(Path::careful, std::exchange(careful_sent_, 0));
}

void Delivery::add_page(
    LaneId id,
    const outbox::Events& events,
    std::span<const std::uint32_t> which,
    const outbox::Snapshot& target,
    EventSeq end,
    bool ends_window
) {
    auto& lane = lanes_.at(id);
    auto page = std::make_unique<Page>();
    page->number = lane.machine.add_page(
        target, events.id(which.front()), events.id(which.back()), which.size(), end, ends_window
    );
    page->lane = &lane;
    page->look = lane.machine.looks();
    page->read_at = Clock::now();
    append_wire_events(
        *dependencies_.format, events, which, dependencies_.topic, page->arena, page->wire
    );
    page->count = page->open = page->wire.size();
    page->slots.reserve(page->wire.size());
    for (std::size_t i = 0; i < page->wire.size(); ++i)
        page->slots.push_back({page.get(), static_cast<std::uint32_t>(i)});
    page->bytes = page->memory();
    events_ += page->count;
    in_flight_bytes_ += page->bytes;
    dependencies_.metrics.reader_events.add(static_cast<double>(page->count));
    dependencies_.metrics.reader_bytes.add(static_cast<double>(page->arena.size()));
    lane.pages.push_back(std::move(page));
    ++lane.fresh;
    if (dependencies_.load != nullptr)
        dependencies_.load->read_up_to =
            lane.pages.back()->wire.back().identity.created_at.time_since_epoch().count();
    tell_load();
}

void Delivery::close() {
    tell_published(batch_log_.rest(Clock::now()));
    is_closed_ = true;
    fast_.reset();
    careful_.reset();
}

bool Delivery::is_idle() const {
    return std::ranges::all_of(lanes_, [](const auto& entry) {
        return entry.second.pages.empty();
    });
}

Delivery::Clock::time_point Delivery::look_at_clocks() {
    const auto now = Clock::now();
    wall_ahead_ = std::chrono::floor<std::chrono::microseconds>(
        runtime::WallClock::now().time_since_epoch() - now.time_since_epoch()
    );
    return now;
}

std::chrono::sys_time<std::chrono::microseconds> Delivery::wall(Clock::time_point now) const {
    return std::chrono::sys_time<std::chrono::microseconds>(
        std::chrono::floor<std::chrono::microseconds>(now.time_since_epoch()) + wall_ahead_
    );
}

void Delivery::pump() {
    blocked_ = false;
    if (is_closed_) return;
    if (paused_.everything()) return;
    const auto now = look_at_clocks();
    end_patience(now);
    for (auto& [id, lane] : lanes_) {
        if (now < lane.publish_until) pump(lane, now);
    }
    end_batch(Path::fast);
    end_batch(Path::careful);
}

void Delivery::pause(std::vector<outbox::Pause> pauses, Clock::time_point now) {
    if (!paused_.set(std::move(pauses))) return;
    topics_.pause(paused_.topics(), now);
    if (paused_.any()) {
        log::info(kComponent, "an operator has paused", {{"what", paused_.text()}});
    } else {
        log::info(kComponent, "an operator has resumed everything");
    }
    look(now);
    keys_changed();
}

void Delivery::keys_changed() {
    if (dependencies_.gate.state() != DeliveryGate::State::paused) pump();
    dependencies_.reader.notify();
    if (has_acknowledgements()) dependencies_.keeper.notify();
}

void Delivery::pump(Lane& lane, Clock::time_point now) {
    pump_aside(lane, now);
    const auto before = lane.aside.size();
    pump_fresh(lane, now);
    if (lane.aside.size() > before) pump_aside(lane, now);
}

void Delivery::pump_fresh(Lane& lane, Clock::time_point now) {
    while (lane.fresh > 0) {
        auto& page = *lane.pages[lane.pages.size() - lane.fresh];
        if (!hand_over(lane, page, now)) {
            blocked_ = true;
            return;
        }
        --lane.fresh;
        // Its last may have been set aside.
        make_room(lane, page);
    }
}

// False: the rest of the page, and with it the lane, has to wait.
bool Delivery::hand_over(Lane& lane, Page& page, Clock::time_point now) {
    if (page.next == 0) page.handed_over_at = now;
    page.late = lane.late(page);
    const auto before = in_flight();
    while (page.next < page.count && hand_over_next(lane, page, now)) {
    }
    if (in_flight() > before) dependencies_.gate.sent(now);
    return page.next == page.count;
}

// Takes one step: the next event is in flight, parked, or set aside. False: not now.
bool Delivery::hand_over_next(Lane& lane, Page& page, Clock::time_point now) {
    auto& slot = page.slots[page.next];
    const auto& event = page.event_of(slot);
    const auto way = lane.machine.way_of(event.key, page.number);
    if (way == LaneMachine::Way::behind) {
        ++page.next;
        park(lane, slot, {});
        return true;
    }
    const bool is_free = way == LaneMachine::Way::free && !paused_.key(event.key) &&
                         (lane.aside.empty() || !lane.aside.contains(event.key));
    if (!is_free || !topics_.is_fast(topic_of(event), now)) {
        ++page.next;
        set_aside(lane, slot);
        return true;
    }
    if (needs_restart_ || in_flight() + unrecorded_ >= limits_.exposed_max) return false;
    switch (send(Path::fast, lane, slot, now)) {
        case Sent::taken:
            ++page.next;
            return true;
        case Sent::impossible:
            ++page.next;
            if (has_fast_before(lane, slot)) {
                set_aside(lane, slot);
            } else {
                park(lane, slot, std::exchange(impossible_, {}));
            }
            return true;
        case Sent::topic_refused:
            ++page.next;
            set_aside(lane, slot);
            return true;
        case Sent::full:
        case Sent::failed:
            break;
    }
    return false;
}

Delivery::Sent Delivery::send(Path path, Lane& lane, Slot& slot, Clock::time_point now) {
    auto made = publisher_in_batch(path);
    if (!made) {
        fail("publish_error", made.error());
        if (path == Path::fast) must_restart(kProducerRestart);
        return Sent::failed;
    }
    auto& page = *slot.page;
    const auto& event = page.event_of(slot);
    if (event.oversize > 0) {
        impossible_ = {
            event.identity.id,
            1,
            std::string(kTooLarge),
            (*made)->explain(kTooLarge, event.topic, event.oversize)
        };
        return Sent::impossible;
    }
    auto record = record_of(event, headers_, wall(now));
    if (!headers_.missing().empty()) {
        log::warn(
            "relay",
            "an event has headers that cannot be sent; its record names them",
            {{"event_id", event.identity.event_id},
             {"topic", event.topic},
             {"headers", headers_.missing()}}
        );
    }
    if (const auto mark = mark_of(lane, slot))
        record.marks = headers_.marks(mark->attempt, mark->reason);
    record.context = &slot;
    const auto taken = (*made)->publish(record);
    if (taken) {
        handed_over(path, lane, slot, now);
        return Sent::taken;
    }
    if (taken.error().code() == Code::rejected) {
        impossible_ = {event.identity.id, 1, taken.error().origin(), taken.error().what()};
        return Sent::impossible;
    }
    if (taken.error().code() == Code::not_found) {
        close_topic(topic_of(event), event, taken.error().origin());
        return Sent::topic_refused;
    }
    if (taken.error().code() == Code::overloaded) return Sent::full;
    if (path == Path::fast && taken.error().origin() == kFatal) {
        has_given_up(taken.error(), now);
        return Sent::failed;
    }
    fail("publish_error", taken.error());
    if (path == Path::fast) {
        must_restart(kProducerRestart);
    } else {
        must_end_careful_ = true;
    }
    return Sent::failed;
}

void Delivery::handed_over(Path path, Lane& lane, Slot& slot, Clock::time_point now) {
    auto& page = *slot.page;
    if (page.in_flight++ == 0) page.in_flight_since = now;
    if (path == Path::careful) {
        slot.state = EventState::careful;
        ++careful_in_flight_;
        ++careful_sent_;
        auto& topic = topic_of(page.event_of(slot));
        ++topic.in_flight;
        ++lane.careful[&topic];
    } else {
        const auto place = page.place_of(slot);
        slot.state = EventState::fast;
        page.first_fast = page.fast++ == 0 ? place : std::min(page.first_fast, place);
        lane.first_fast = lane.fast++ == 0 ? page.number : std::min(lane.first_fast, page.number);
        ++fast_in_flight_;
        ++fast_sent_;
    }
    if (spans_.is_on()) page.links.note(headers_);
}

// An empty one: it comes after a parked event of its key.
void Delivery::park(Lane& lane, Slot& slot, outbox::ParkedEvent parked) {
    auto& page = *slot.page;
    const auto& event = page.event_of(slot);
    const auto trace = trace_of(event);
    auto& told = page.parked.emplace_back();
    told.event_id = event.identity.event_id;
    told.event_type = event.identity.event_type;
    told.topic = event.topic;
    told.trace_id = trace ? telemetry::to_string(trace->trace_id) : std::string();
    told.error_class = parked.error_class;
    told.error = parked.error;
    if (parked.error_class.empty()) {
        told.error_class = "held";
        lane.machine.park_behind(page.number, event.identity.id, event.key);
    } else {
        // A pause costs nobody's order: what it parks always holds its key.
        if (parked.error_class != kPaused) {
            dependencies_.metrics.failed(Failure::publish_error, event.identity.event_type);
            parked.holds = !dependencies_.skip.skips(event.topic, event.identity.event_type);
            parked.is_copied = dependencies_.copies;
        }
        lane.machine.park(page.number, std::move(parked), event.key);
    }
    settled(lane, slot);
}

}  // namespace txstream::relay
