#include "relay/delivery.hpp"

#include "base/assert.hpp"
#include "relay/detail/delivery_page.hpp"
#include "telemetry/log.hpp"

#include <algorithm>
#include <utility>

namespace txstream::relay {

namespace {

constexpr std::string_view kComponent = "relay";
// Delivery, reader and keeper tell of blockages separately.
constexpr std::size_t kPartsOfWorker = 3;
// How a producer that promises no gaps ends when a record is refused, whatever the reason.
constexpr std::string_view kGapless = "_GAPLESS_GUARANTEE";

constexpr std::string_view kTooLarge = "MSG_SIZE_TOO_LARGE";

}  // namespace

Delivery::Delivery(Dependencies dependencies, Limits limits)
    : dependencies_(std::move(dependencies)),
      limits_(limits),
      random_(dependencies_.seed),
      spans_(dependencies_.tracing),
      blockages_(dependencies_.blockages, dependencies_.worker * kPartsOfWorker),
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
    update_delay();
    tell_published(batch_log_.due(now));
}

void Delivery::tell_held_lanes() {
    std::vector<HeldLane> held;
    for (const auto& [id, lane] : lanes_) {
        if (!lane.held_topic.empty())
            held.push_back({id, Blockage::topic_refused, lane.held_topic});
        if (lane.put_off > 0) held.push_back({id, Blockage::cannot_park, {}});
    }
    const auto refused = std::ranges::find(held, Blockage::topic_refused, &HeldLane::why);
    blockages_.set_if(
        refused != held.end(),
        Blockage::topic_refused,
        refused == held.end() ? std::string_view() : refused->topic
    );
    blockages_.set_if(
        std::ranges::find(held, Blockage::cannot_park, &HeldLane::why) != held.end(),
        Blockage::cannot_park,
        "see the lines about dead letters"
    );
    blockages_.hold_lanes(std::move(held));
}

// A poll looks for the events of all lanes: what holds them up at its beginning is why those that
// it finds are late.
void Delivery::update_delay() {
    DelayReason now;
    if (dependencies_.gate.is_held_by_breaker()) {
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

std::optional<Mark> Delivery::mark_of(const Lane& lane, const Page& page, EventSeq id) const {
    if (page.late.empty() && lane.tries.empty()) return std::nullopt;
    if (const auto tries = lane.tries.of(id)) return Mark{tries->count + 1, tries->reason};
    if (page.late.empty()) return std::nullopt;
    return Mark{1, page.late};
}

void Delivery::must_restart(DelayReason reason) {
    needs_restart_ = true;
    if (restart_reason_.empty() || restart_reason_ == kProducerRestart) restart_reason_ = reason;
}

WorkerBlockages Delivery::blockages(std::size_t part) const {
    TXS_ASSERT(part < kPartsOfWorker, "each part tells for itself");
    return {dependencies_.blockages, dependencies_.worker * kPartsOfWorker + part};
}

// --- owning lanes

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
    (void)ensure_publisher();
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
    for (const auto& page : lane.pages) {
        if (page->next > 0) must_restart(kLaneLost);
        in_flight_bytes_ -= page->bytes;
    }
    // What is queued must not leave this process once the next owner publishes. The reader, which
    // makes the next publisher, may be waiting for a database that hangs.
    if (needs_restart_) publisher_.reset();
    if (lane.machine.is_acknowledging()) --acknowledging_;
    count_resent(lane);
    lanes_.erase(found);
    dependencies_.metrics.lane_leases_lost.add();
    tell_load();
    dependencies_.reader.notify();
}

void Delivery::lose_all() {
    ++lives_;
    for (const auto id : lanes()) lose(id);
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

// --- trust

void Delivery::doubt() {
    ++doubts_;
    dependencies_.keeper.notify();
}

void Delivery::trust(std::uint64_t doubts) {
    trusted_ = std::max(trusted_, doubts);
    if (!is_in_doubt()) dependencies_.reader.notify();
}

// --- reading

std::map<std::string, Delivery::PollGroup> Delivery::lanes_to_poll() {
    update_delay();
    std::map<std::string, PollGroup> groups;
    if (is_in_doubt()) return groups;
    const auto now = Clock::now();
    for (const auto& [id, lane] : lanes_) {
        if (lane.machine.is_paging() || !lane.machine.has_room() || now < lane.held_until) continue;
        const auto& cursor = lane.machine.cursor();
        groups.try_emplace(cursor.text(), PollGroup{cursor, {}}).first->second.lanes.push_back(id);
    }
    return groups;
}

std::optional<Delivery::PageGroup> Delivery::group_to_page() {
    if (is_in_doubt()) return std::nullopt;
    const auto now = Clock::now();
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
        if (machine.has_room() && now >= lane.held_until) group->lanes.push_back(id);
    }
    for (std::size_t i = 0; i < groups.size(); ++i) {
        auto& group = groups[++groups_paged_ % groups.size()];
        if (group.lanes.empty()) continue;
        for (const auto& other : groups) {
            if (other.after <= group.after || !group.is_in_same_window(other)) continue;
            group.joins_at = std::min(group.joins_at.value_or(other.after), other.after);
        }
        return group;
    }
    return std::nullopt;
}

LaneMachine& Delivery::machine(LaneId lane) {
    return lanes_.at(lane).machine;
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
    page->events = events;
    page->read_at = Clock::now();
    append_wire_events(events, which, dependencies_.topic, page->arena, page->wire);
    page->open = page->wire.size();
    page->slots.reserve(page->wire.size());
    for (std::size_t i = 0; i < page->wire.size(); ++i) {
        page->slots.push_back({page.get(), static_cast<std::uint32_t>(i)});
        page->bytes += page->wire[i].bytes();
    }
    in_flight_bytes_ += page->bytes;
    lane.pages.push_back(std::move(page));
    if (dependencies_.load != nullptr)
        dependencies_.load->read_up_to =
            lane.pages.back()->wire.back().created_at.time_since_epoch().count();
    tell_load();
}

void Delivery::close() {
    tell_published(batch_log_.rest(Clock::now()));
    is_closed_ = true;
    publisher_.reset();
}

bool Delivery::is_idle() const {
    return std::ranges::all_of(lanes_, [](const auto& entry) {
        return entry.second.pages.empty();
    });
}

// --- publishing

void Delivery::pump() {
    blocked_ = false;
    // A broker refuses batches, and puts together what comes from different lanes: a suspect goes
    // when nothing else is in flight, and nothing else goes beside it.
    while (auto* const lane = lane_with_suspect()) {
        if (in_flight_events_ == 0) pump(*lane);
        if (in_flight_events_ > 0 || needs_restart_) {
            blocked_ = true;
            return;
        }
        if (lane_with_suspect() == lane) break;  // it must wait, for room or for its lease
    }
    for (auto& [id, lane] : lanes_) {
        if (needs_restart_) return;
        pump(lane);
    }
}

Delivery::Lane* Delivery::lane_with_suspect() {
    for (auto& [id, lane] : lanes_) {
        const auto page = std::ranges::find_if(lane.pages, [](const auto& one) {
            return one->next < one->wire.size();
        });
        if (page == lane.pages.end()) continue;
        if (lane.machine.is_suspect((*page)->wire[(*page)->next].id)) return &lane;
    }
    return nullptr;
}

void Delivery::pump(Lane& lane) {
    for (auto& page : lane.pages) {
        if (page->next == page->wire.size()) continue;
        if (hand_over(lane, *page)) continue;
        blocked_ = true;
        if (std::exchange(lane.is_to_cut, false)) cut(lane, *page, page->next);
        return;
    }
}

// False: the rest of the page, and with it the lane, has to wait.
bool Delivery::hand_over(Lane& lane, Page& page) {
    const auto now = Clock::now();
    if (needs_restart_ || is_closed_ || now >= lane.publish_until) return false;
    if (auto ready = ensure_publisher(); !ready) {
        fail("publish_error", ready.error());
        must_restart(kProducerRestart);
        return false;
    }
    if (page.next == 0) page.handed_over_at = now;
    page.late = lane.late(page);
    const auto before = in_flight_events_;
    while (page.next < page.wire.size() && publish_next(lane, page)) {
    }
    if (in_flight_events_ > before) dependencies_.gate.sent(now);
    return page.next == page.wire.size();
}

// Takes one step: the next event is in flight, or parked. False: not now.
bool Delivery::publish_next(Lane& lane, Page& page) {
    const auto& event = page.wire[page.next];
    const bool is_suspect = lane.machine.is_suspect(event.id);
    if (in_flight_events_ > 0 && (is_alone_ || is_suspect)) return false;
    switch (lane.machine.admit(page.number, event.id, event.key)) {
        case LaneMachine::Admission::wait:
            return false;
        case LaneMachine::Admission::parked:
            ++page.next;
            settled(page);
            return true;
        case LaneMachine::Admission::publish:
            break;
    }
    if (event.oversize > 0) {
        park_next(
            lane, page, kTooLarge, publisher_->explain(kTooLarge, event.topic, event.oversize)
        );
        return true;
    }
    Record record;
    record.topic = event.topic;
    record.key = event.key;
    record.value = event.value;
    record.is_tombstone = event.is_tombstone;
    record.headers = headers_.of(event);
    if (!headers_.missing().empty()) {
        log::warn(
            "relay",
            "an event has headers that cannot be sent; its record names them",
            {{"event_id", event.event_id}, {"topic", event.topic}, {"headers", headers_.missing()}}
        );
    }
    if (const auto mark = mark_of(lane, page, event.id))
        record.marks = headers_.marks(mark->attempt, mark->reason);
    // Never the writer's clock: the broker refuses, or deletes as too old, what it does not like.
    record.timestamp_ms = std::chrono::floor<std::chrono::milliseconds>(runtime::WallClock::now())
                              .time_since_epoch()
                              .count();
    record.context = &page.slots[page.next];
    auto taken = publisher_->publish(record);
    if (taken) {
        page.slots[page.next].is_handed_over = true;
        ++page.next;
        ++in_flight_events_;
        is_alone_ = is_suspect;
        if (spans_.is_on()) page.links.note(headers_);
        return true;
    }
    if (taken.error().code() == Code::rejected) {
        park_next(lane, page, taken.error().origin(), taken.error().what());
        return true;
    }
    if (taken.error().code() == Code::not_found) {
        lane.machine.topic_refused(page.number, event.id);
        hold(lane, event, taken.error().origin());
        lane.is_to_cut = true;
        return false;
    }
    lane.machine.withdraw(page.number);
    if (taken.error().code() != Code::overloaded) {
        fail("publish_error", taken.error());
        must_restart(kProducerRestart);
    }
    return false;
}

void Delivery::park_next(Lane& lane, Page& page, std::string_view error_class, std::string error) {
    const auto& event = page.wire[page.next];
    lane.machine.park(page.number, event.id, event.key, std::string(error_class), std::move(error));
    ++page.next;
    settled(page);
}

// Nothing of the lane from there on was handed over: the lane goes back to it, and no further.
void Delivery::cut(Lane& lane, Page& page, std::size_t from) {
    const auto events = page.wire.size() - from;
    if (page.slots[from].is_handed_over)
        lane.tries.add(page.wire[from].id, header_word(Blockage::topic_refused));
    lane.machine.cut(page.number, page.wire[from].id, events);
    const auto drop_last = [&] {
        in_flight_bytes_ -= lane.pages.back()->bytes;
        lane.pages.pop_back();
    };
    while (lane.pages.back().get() != &page) drop_last();
    if (from == 0) return drop_last();
    for (auto i = from; i < page.wire.size(); ++i) {
        page.bytes -= page.wire[i].bytes();
        in_flight_bytes_ -= page.wire[i].bytes();
    }
    page.wire.erase(page.wire.begin() + static_cast<std::ptrdiff_t>(from), page.wire.end());
    // The event itself was handed over where its topic's refusal came from the broker.
    page.next = from;
    page.open -= events;
    if (page.open == 0) completed(page);
}

Result<> Delivery::ensure_publisher() {
    if (publisher_) return {};
    PublisherEvents events;
    events.reports = [this](std::span<const Report> reports) { on_reports(reports); };
    events.ready = [this] {
        if (blocked_ && !needs_restart_) pump();
        dependencies_.reader.notify();
    };
    events.fatal = [this](const Error& error) {
        // The record that caused it is not known yet: its report is on its way.
        must_restart(kProducerRestart);
        restart_at_ = std::max(restart_at_, Clock::now() + limits_.reports_grace);
        if (error.origin() == kGapless) {
            unexplained_ = error;
        } else {
            fail("producer_fatal", error);
        }
        dependencies_.reader.notify();
    };
    events.brokers_down = [this](const Error& error) {
        // Brokers close idle connections; that says nothing of the next record.
        if (in_flight_events_ > 0) {
            fail("brokers_down", error);
        } else {
            dependencies_.gate.doubted();
            if (dependencies_.kafka_doubted) dependencies_.kafka_doubted();
        }
    };
    TXS_TRY(publisher_, dependencies_.publisher(dependencies_.executor, std::move(events)));
    return {};
}

std::optional<Delivery::Clock::time_point> Delivery::stale_at() const {
    if (!publisher_ || in_flight_events_ == 0 || needs_restart_) return std::nullopt;
    const auto waiting_max = publisher_->waiting_max();
    if (!waiting_max) return std::nullopt;
    std::optional<Clock::time_point> oldest;
    for (const auto& [id, lane] : lanes_) {
        for (const auto& page : lane.pages) {
            if (page->next == 0 || page->open == 0) continue;
            if (!oldest || page->handed_over_at < *oldest) oldest = page->handed_over_at;
        }
    }
    if (!oldest) return std::nullopt;
    return *oldest + *waiting_max;
}

void Delivery::take_back_stale() {
    must_restart(kWaitedTooLong);
    log::warn(
        kComponent,
        "records have waited too long in the producer; they are sent again with a new timestamp",
        {{"events", in_flight_events_}}
    );
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
    TXS_ASSERT(!is_acknowledging(), "a lane goes back only between acknowledgements");
    publisher_.reset();
    const auto reason = restart_reason_.empty() ? kProducerRestart : restart_reason_;
    for (auto& [id, lane] : lanes_) {
        count_resent(lane);
        for (const auto& page : lane.pages) {
            for (std::size_t i = 0; i < std::min(page->next, page->wire.size()); ++i) {
                if (page->slots[i].is_handed_over) lane.tries.add(page->wire[i].id, reason);
            }
            if (page->next > 0 && page->open > 0) trace(*page, send_error_);
        }
        lane.pages.clear();
        lane.machine.restart();
    }
    restart_reason_ = {};
    in_flight_bytes_ = 0;
    in_flight_events_ = 0;
    is_alone_ = false;
    needs_restart_ = false;
    blocked_ = false;
    tell_load();
    dependencies_.gate.forgotten();
    if (const auto error = std::exchange(unexplained_, std::nullopt))
        fail("producer_fatal", *error);
    send_error_.clear();
}

}  // namespace txstream::relay
