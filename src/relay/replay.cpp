#include "relay/replay.hpp"

#include "base/assert.hpp"
#include "relay/detail/replay_batch.hpp"
#include "telemetry/log.hpp"

#include <algorithm>
#include <utility>

namespace txstream::relay {

namespace {

constexpr std::string_view kComponent = "relay";

}  // namespace

Replay::Replay(Dependencies dependencies, Limits limits)
    : dependencies_(std::move(dependencies)), limits_(limits), headers_(*dependencies_.format) {
}

Replay::~Replay() = default;

void Replay::add(LaneId lane, const std::vector<std::string>& keys) {
    for (const auto& key : keys)
        if (known_.insert({lane, key}).second) work_.push_back({{lane, key}});
}

void Replay::lose(LaneId lane) {
    std::erase_if(work_, [&](const Work& work) { return work.key.lane == lane; });
    std::erase_if(known_, [&](const LaneKey& key) { return key.lane == lane; });
    if (!batch_) return;
    const bool is_in_flight = std::ranges::any_of(batch_->letters, [&](const Letter& letter) {
        return letter.state == Letter::State::in_flight &&
               batch_->parts[letter.part].work.key.lane == lane;
    });
    if (is_in_flight) end_publisher();
    for (auto& part : batch_->parts)
        if (part.work.key.lane == lane) part.is_lost = true;
    for (auto& letter : batch_->letters)
        if (batch_->parts[letter.part].is_lost) batch_->leave(letter);
}

bool Replay::is_busy_with(LaneId lane) const {
    return batch_ && std::ranges::any_of(batch_->parts, [&](const Part& part) {
               return part.work.key.lane == lane && !part.is_lost;
           });
}

bool Replay::is_ours(const Part& part) const {
    auto& delivery = dependencies_.delivery;
    return !part.is_lost && delivery.owns(part.work.key.lane) &&
           delivery.machine(part.work.key.lane).epoch() == part.epoch;
}

std::optional<Replay::Clock::time_point> Replay::due() const {
    const auto now = Clock::now();
    if (batch_) {
        if (batch_->open == 0) return std::max(now, pause_until_);
        auto due = end_at_;
        const auto sooner = [&](Clock::time_point at) { due = std::min(due.value_or(at), at); };
        if (batch_->in_flight == 0 && !end_at_)
            sooner(pause_until_ > now ? pause_until_ : now + limits_.failure_pause);
        if (batch_->in_flight > 0 && publisher_)
            if (const auto most = publisher_->waiting_max())
                sooner(batch_->in_flight_since + *most);
        return due;
    }
    if (dependencies_.delivery.lane_count() == 0) return std::nullopt;
    auto due = look_at_;
    for (const auto& work : work_) due = std::min(due, std::max(work.not_before, pause_until_));
    return due;
}

bool Replay::expects_reports() const {
    return batch_ && (batch_->in_flight == 0 ||
                      Clock::now() < batch_->in_flight_since + limits_.failure_pause);
}

Task<> Replay::end(LaneKeeper& lanes, Deadline deadline) {
    end_publisher();
    work_.clear();
    if (!batch_) co_return;
    for (auto& letter : batch_->letters) batch_->leave(letter);
    // Whatever cannot be written is sent again by the next owner.
    if (lanes.is_open()) (void)co_await settle(lanes, deadline);
    batch_.reset();
}

Task<Result<>> Replay::step(LaneKeeper& lanes, bool begins, Deadline deadline) {
    auto done = co_await advance(lanes, begins, deadline);
    if (done || !lanes.is_open()) co_return done;
    const auto now = Clock::now();
    pause(now);
    look_at_ = pause_until_;
    log::warn(
        kComponent,
        "cannot carry out decisions about dead letters; trying again",
        {{"error", done.error().what()},
         {"error_type", done.error().origin()},
         {"delay_ms", limits_.failure_pause.count()}}
    );
    co_return Result<>();
}

Task<Result<>> Replay::advance(LaneKeeper& lanes, bool begins, Deadline deadline) {
    auto now = Clock::now();
    if (batch_ && batch_->in_flight > 0 && publisher_) {
        const auto most = publisher_->waiting_max();
        if (most && batch_->in_flight_since + *most <= now) end_at_ = now;
    }
    if (end_at_ && *end_at_ <= now) end_publisher();
    if (batch_ && batch_->open == 0 && now >= pause_until_)
        TXS_CO_CHECK(co_await settle(lanes, deadline));
    if (batch_) {
        pump();
        co_return Result<>();
    }
    if (!begins) co_return Result<>();
    now = Clock::now();
    if (now >= look_at_) TXS_CO_CHECK(co_await look(lanes, deadline));
    if (!work_.empty() && now >= pause_until_) TXS_CO_CHECK(co_await load(lanes, deadline));
    co_return Result<>();
}

Task<Result<>> Replay::look(LaneKeeper& lanes, Deadline deadline) {
    auto& delivery = dependencies_.delivery;
    if (delivery.lane_count() == 0) co_return Result<>();
    TXS_CO_TRY(
        const auto found,
        co_await lanes.decisions(delivery.lanes(), limits_.decisions_max, deadline)
    );
    if (!delivery.paused().everything())
        TXS_CO_CHECK(co_await revive(lanes, Clock::now(), deadline));
    look_at_ = Clock::now() +
               (found.is_cut || !open_.empty() ? limits_.unwritten_pause : limits_.look_interval);
    for (const auto& key : found.keys)
        if (delivery.owns(key.lane) && known_.insert(key).second) work_.push_back({key});
    co_return Result<>();
}

// The keys of what is revived are found by the next look, as those of an operator's decisions.
Task<Result<>> Replay::revive(LaneKeeper& lanes, Clock::time_point now, Deadline deadline) {
    const auto ours = dependencies_.delivery.lanes();
    outbox::Revival which{{open_.begin(), open_.end()}, limits_.revived_max};
    name_paused(which);
    if (!open_.empty()) {
        TXS_CO_TRY(const auto topics, co_await lanes.revive(ours, which, deadline));
        std::erase_if(open_, [&](const std::string& topic) {
            const auto revived = std::ranges::count(topics, topic);
            return static_cast<std::size_t>(revived) < limits_.revived_max;
        });
    }
    if (now < revive_at_) co_return Result<>();
    revive_at_ = now + limits_.topic_retry_delay;
    which.topics.clear();
    which.letters = 1;
    TXS_CO_TRY(const auto topics, co_await lanes.revive(ours, std::move(which), deadline));
    tried_ = {topics.begin(), topics.end()};
    co_return Result<>();
}

// What has been resumed is not waited for.
void Replay::name_paused(outbox::Revival& which) {
    const auto& paused = dependencies_.delivery.paused();
    which.paused_topics = {paused.topics().begin(), paused.topics().end()};
    // An event need not name the usual one.
    if (paused.topic(dependencies_.topic)) which.paused_topics.emplace_back();
    which.paused_keys = {paused.keys().begin(), paused.keys().end()};
    const auto count = which.paused_topics.size() + which.paused_keys.size();
    if (count < std::exchange(paused_before_, count)) revive_at_ = {};
}

bool Replay::is_paused(const outbox::Event& event) const {
    const auto& paused = dependencies_.delivery.paused();
    return paused.any() && paused.topic(event.topic.empty() ? dependencies_.topic : event.topic);
}

void Replay::note_topic(std::string_view topic, bool takes) {
    const auto note = [&](std::string_view stored) {
        auto& from = takes ? tried_ : open_;
        const auto found = from.find(stored);
        if (found == from.end()) return;
        auto name = from.extract(found);
        if (takes) open_.insert(std::move(name));
    };
    note(topic);
    // An event need not name the usual one.
    if (topic == dependencies_.topic) note({});
}

// The other letters of the same key: on the careful path one record of a key is in flight.
bool Replay::is_begun(const std::vector<Part>& parts, LaneKey key) const {
    key.holds = !key.holds;
    return known_.contains(key) &&
           std::ranges::any_of(parts, [&](const Part& part) { return part.work.key == key; });
}

std::vector<Replay::Part> Replay::begin_parts(Clock::time_point now) {
    std::vector<Part> parts;
    auto& delivery = dependencies_.delivery;
    for (auto left = work_.size(); left > 0 && parts.size() < limits_.keys_max; --left) {
        auto work = std::move(work_.front());
        work_.pop_front();
        if (work.not_before > now || !delivery.may_publish(work.key.lane, now) ||
            delivery.paused().key(work.key.key) || delivery.is_leaving(work.key.lane) ||
            is_begun(parts, work.key)) {
            work_.push_back(std::move(work));
            continue;
        }
        auto& machine = delivery.machine(work.key.lane);
        Part part;
        part.epoch = machine.epoch();
        if (work.key.holds) {
            // Not known here where somebody parked it by hand.
            if (!machine.holds(work.key.key)) machine.hold(work.key.key);
            if (!work.is_large) machine.begin_wait(work.key.key);
            part.is_clean = !work.is_large && machine.unwritten(work.key.key) == 0;
        }
        part.work = std::move(work);
        parts.push_back(std::move(part));
    }
    return parts;
}

Task<Result<>> Replay::load(LaneKeeper& lanes, Deadline deadline) {
    const auto now = Clock::now();
    auto parts =
        dependencies_.delivery.paused().everything() ? std::vector<Part>() : begin_parts(now);
    if (parts.empty()) {
        pause_until_ = now + limits_.unwritten_pause;
        co_return Result<>();
    }
    std::vector<LaneKey> keys;
    for (const auto& part : parts) keys.push_back(part.work.key);
    auto letters = co_await lanes.letters(std::move(keys), limits_.letters, deadline);
    if (!letters) {
        for (auto& part : parts)
            if (known_.contains(part.work.key)) work_.push_back(std::move(part.work));
        co_return tl::unexpected<Error>(letters.error());
    }
    fill(std::move(parts), *letters);
    if (batch_->open == 0) {
        // Nothing to send, only keys to release.
        co_return co_await settle(lanes, deadline);
    }
    pump();
    co_return Result<>();
}

// The letters in front of each key that may be sent.
void Replay::fill(std::vector<Part> parts, const outbox::Letters& letters) {
    batch_ = std::make_unique<Batch>();
    batch_->width = limits_.careful_max;
    std::vector<std::uint32_t> which;
    std::size_t row = 0;
    const auto rows = letters.events.size();
    const auto last_key = rows > 0 ? letters.key[rows - 1] : 0;
    for (std::size_t number = 0; number < parts.size(); ++number) {
        auto& part = parts[number];
        if (letters.is_cut && number > last_key) {
            work_.push_front(std::move(part.work));
            continue;
        }
        part.is_complete = !letters.is_cut || number < last_key;
        const auto place = static_cast<std::uint32_t>(batch_->parts.size());
        part.first = part.next = which.size();
        for (; row < rows && letters.key[row] == number; ++row) {
            part.stops = part.stops || letters.stops[row];
            part.is_paused = part.is_paused || is_paused(letters.events.at(row));
            if (part.stops || part.is_paused) continue;
            const auto id = letters.events.id(row);
            batch_->letters.push_back({.part = place, .id = id});
            which.push_back(static_cast<std::uint32_t>(row));
        }
        part.last = which.size();
        batch_->parts.push_back(std::move(part));
    }
    batch_->open = which.size();
    outbox::append_wire_events(
        *dependencies_.format,
        letters.events,
        which,
        dependencies_.topic,
        batch_->arena,
        batch_->wire
    );
}

Task<Result<>> Replay::settle(LaneKeeper& lanes, Deadline deadline) {
    std::vector<outbox::SettledLetter> settled;
    std::set<LaneId> which;
    std::size_t parked = 0;
    for (std::size_t i = 0; i < batch_->letters.size(); ++i) {
        auto& letter = batch_->letters[i];
        const auto& part = batch_->parts[letter.part];
        if (!is_ours(part) || !letter.is_settled()) continue;
        which.insert(part.work.key.lane);
        const std::string event_id(batch_->wire[i].identity.event_id);
        settled.push_back(
            {letter.id,
             event_id,
             letter.attempts,
             letter.error_class,
             letter.error,
             letter.waits,
             letter.holds,
             // What only tried whether its topic takes records again was copied when it was parked.
             dependencies_.copies && !letter.error_class.empty() && !letter.waits}
        );
        if (!letter.error_class.empty()) ++parked;
    }
    std::vector<LaneId> ours;
    if (!settled.empty()) {
        TXS_CO_TRY(ours, co_await lanes.settle({which.begin(), which.end()}, settled, deadline));
        dependencies_.metrics.replayed(settled.size() - parked, parked);
        // What only tried whether a topic takes records again changes nothing.
        const bool is_news =
            std::ranges::any_of(settled, [](const auto& one) { return !one.waits; });
        if (is_news)
            log::info(
                kComponent,
                "sent dead letters",
                {{"events", settled.size() - parked},
                 {"parked", parked},
                 {"keys", batch_->parts.size()}}
            );
    }
    auto batch = std::move(batch_);
    const auto now = Clock::now();
    // An idle producer costs memory and connections.
    if (work_.empty()) publisher_.reset();
    for (auto& part : batch->parts) finish(part, now);
    std::erase_if(which, [&](LaneId lane) { return std::ranges::find(ours, lane) != ours.end(); });
    for (const auto lane : which) dependencies_.delivery.lose(lane);
    if (!which.empty()) dependencies_.metrics.lost(Lost::taken_over, which.size());
    dependencies_.delivery.keys_changed();
    co_return Result<>();
}

// What is next for its key.
void Replay::finish(Part& part, Clock::time_point now) {
    if (!is_ours(part)) return;
    auto& work = part.work;
    if (!work.key.holds) {
        // Whatever was decided about since is found by the next look.
        if (part.is_complete && !part.is_paused) return forget(work.key);
        if (part.is_paused) work.not_before = now + limits_.look_interval;
        return work_.push_back(std::move(work));
    }
    auto& machine = dependencies_.delivery.machine(work.key.lane);
    if (part.is_paused && !part.has_failed) {
        // Its new events are parked meanwhile: memory is for strangers.
        dependencies_.delivery.hold(work.key.lane, work.key.key);
        work.not_before = now + limits_.look_interval;
        return work_.push_back(std::move(work));
    }
    if (part.has_failed || part.stops) {
        dependencies_.delivery.hold(work.key.lane, work.key.key);
        return forget(work.key);
    }
    if (!part.is_complete) {
        dependencies_.delivery.hold(work.key.lane, work.key.key);
        work.is_large = true;
        return work_.push_front(std::move(work));
    }
    // What had been read and not been handed over when the round began may be parked by now.
    if (part.is_clean && machine.waits(work.key.key) && machine.unwritten(work.key.key) == 0) {
        machine.release(work.key.key);
        return forget(work.key);
    }
    work.is_large = false;
    work.not_before = now;
    if (machine.unwritten(work.key.key) > 0) work.not_before += limits_.unwritten_pause;
    work_.push_back(std::move(work));
}

}  // namespace txstream::relay
