#include "tests/sim/checks.hpp"

#include "tests/sim/storm.hpp"

#include <algorithm>

namespace txstream::sim {

Checks::Checks(Simulation& world, Postgres& postgres, Kafka& kafka)
    : world_(world), postgres_(postgres), kafka_(kafka) {
    postgres.on_commit = [this](const Row& row) { on_commit(row); };
    postgres.on_park = [this](EventSeq id, const auto& letter) { on_park(id, letter); };
    postgres.on_discard = [this](EventSeq id) {
        if (const auto found = events_.find(id.id()); found != events_.end())
            found->second.is_discarded = true;
    };
    postgres.on_pause = [this](const auto& pause, bool begins) { on_pause(pause, begins); };
    postgres.on_move = [this](const auto& to) { on_move(to); };
    postgres.on_give = [this](const auto& gift) { on_give(gift); };
    postgres.on_claim = [this](LaneId lane) { on_claim(lane); };
    postgres.on_incident = [this](auto what) { incident(what); };
    kafka.on_incident = postgres.on_incident;
    kafka.on_store = [this](const Stored& record) { on_store(record); };
    kafka.on_refuse = [this](std::int64_t id, bool is_alone) {
        if (const auto found = events_.find(id); found != events_.end())
            found->second.refused_alone += is_alone ? 1 : 0;
        world_.note("Kafka refuses event {}{}", id, is_alone ? " alone" : "");
        incident("refused");
    };
    kafka.on_hand_over = [this](const Kafka::Sender& sender, int attempt) {
        const auto found = events_.find(sender.event);
        if (found == events_.end()) return;
        if (attempt - 1 > found->second.handed_over)
            world_.violated(
                "event {} says that this is attempt {}, and is not", sender.event, attempt
            );
        ++found->second.handed_over;
        if (has_pauses_) judge_pause(found->second);
        judge(sender, "handed over");
    };
    kafka.on_send = [this](const Kafka::Sender& sender) {
        if (world_.now() > sender.process.woke_at + kWakingMax) judge(sender, "sent");
    };
}

void Checks::incident(std::string_view what) {
    world_.note("something goes wrong: {}", what);
    last_incident_ = world_.now();
    ++totals_.incidents;
}

bool Checks::is_settled() const {
    if (over_ != events_.size()) return false;
    return std::ranges::none_of(postgres_.tables().dead_letters, [this](const auto& one) {
        const auto& letter = one.second;
        if (has_operators_) return letter.is_open() || letter.is_decided;
        return letter.is_decided || (letter.waits && letter.is_open());
    });
}

void Checks::on_commit(const Row& row) {
    ++totals_.events;
    events_.emplace(row.id, Event{.row = row, .committed = world_.now(), .stored = {}});
    keys_[row.key].events.push_back(row.id);
    const auto lane = static_cast<std::size_t>(postgres_.lane_of(row.key));
    if (postgres_.tables().lanes[lane].cursor.sees(row.xid))
        world_.violated("event {} has an id that its lane's position knows already", row.id);
}

void Checks::take_turn(const Event& event, const char* what) {
    if (event.is_over()) return;
    ++over_;
    for (const auto id : keys_.at(event.row.key).events) {
        if (id >= event.row.id) break;
        if (!events_.at(id).is_over())
            world_.violated(
                "event {} of key {} is {} before {}", event.row.id, event.row.key, what, id
            );
    }
}

void Checks::judge_order(const Event& event) {
    for (const auto id : keys_.at(event.row.key).events) {
        if (id >= event.row.id) break;
        const auto& other = events_.at(id);
        if (other.stored || other.is_discarded) continue;
        // What is on its way again is in no order with records of other topics.
        const auto& letters = postgres_.tables().dead_letters;
        const auto letter = letters.find(EventSeq(id, other.row.xid));
        const bool is_known = letter != letters.end();
        if (is_known && letter->second.stops() && letter->second.holds) {
            world_.violated("event {} is stored behind a parked one: {}", event.row.id, id);
        } else if (other.row.topic == event.row.topic && !may_be_passed(other, is_known)) {
            world_.violated(
                "event {} of key {} is stored before {}", event.row.id, event.row.key, id
            );
        }
    }
}

void Checks::on_store(const Stored& record) {
    world_.note(
        "Kafka stores event {} of key {} at {}/{}",
        record.event,
        record.key,
        record.partition,
        record.offset
    );
    const auto found = events_.find(record.event);
    if (found == events_.end())
        return world_.violated("a record of event {}, which was not committed", record.event);
    auto& event = found->second;
    const auto& topic = event.row.topic.empty() ? std::string(kTopic) : event.row.topic;
    if (record.key != event.row.key || record.topic != topic ||
        record.value.find(event.row.payload) == std::string::npos)
        world_.violated("the record of event {} is not what was written", record.event);
    if (event.stored) {
        ++totals_.again;
        if (!last_incident_ || *last_incident_ + kInfluence < *event.stored)
            world_.violated("event {} is stored again for no reason", record.event);
    } else {
        judge_order(event);
        if (!event.is_over()) ++over_;
        if (event.is_parked) ++totals_.replayed;
        event.first_stored = world_.now();
    }
    event.stored = world_.now();
    const auto lane = static_cast<std::size_t>(postgres_.lane_of(event.row.key));
    event.stored_under = postgres_.tables().lanes[lane].epoch;
}

bool Checks::is_too_large(const Event& event) {
    const auto bytes = event.row.payload.size() + event.row.key.size();
    const auto& topic = event.row.topic.empty() ? std::string(kTopic) : event.row.topic;
    // Around the payload there is an envelope.
    return bytes > kEventBytesMax || bytes + kEnvelopeBytes > kafka_.topic(topic).bytes_max;
}

bool Checks::is_skipped(const Event& event) const {
    return skip_.skips(
        event.row.topic.empty() ? kTopic : event.row.topic,
        event.row.type.empty() ? "Tested" : event.row.type
    );
}

bool Checks::may_be_passed(const Event& event, bool has_letter) {
    // A letter may have been refused for its topic, and that may not be written yet.
    return is_skipped(event) && (has_letter || event.refused_alone > 0 || is_too_large(event) ||
                                 !event.row.topic.empty());
}

void Checks::on_park(EventSeq id, const Postgres::DeadLetter& letter) {
    const auto found = events_.find(id.id());
    if (found == events_.end())
        return world_.violated("event {} is parked and was not committed", id.id());
    auto& event = found->second;
    if (event.is_parked) return;
    auto& key = keys_.at(event.row.key);
    ++totals_.parked;
    take_turn(event, "parked");
    event.is_parked = true;
    const bool is_behind = key.held_by.has_value();
    key.was_parked = true;
    if (!is_behind && letter.holds) key.held_by = id.id();
    // What is held, or paused, has no fault of its own.
    if (letter.holds == (letter.attempts > 0 && is_skipped(event)))
        world_.violated(
            "event {} {} its key, and should not", id.id(), letter.holds ? "holds" : "does not hold"
        );
    if (letter.attempts == 0) {
        if (!is_behind && !(letter.waits && was_paused(event)))
            world_.violated("event {} is parked behind another of its key; there is none", id.id());
    } else if (letter.attempts > event.refused_alone &&
               !(letter.attempts == 1 && is_too_large(event)) &&
               !(!event.row.topic.empty() && letter.error_class.find("TOPIC") != std::string::npos
               )) {
        world_.violated(
            "event {} is parked after {} attempts; the broker has refused it {} times",
            id.id(),
            letter.attempts,
            event.refused_alone
        );
    }
}

void Checks::judge(const Kafka::Sender& sender, const char* what) {
    const auto found = events_.find(sender.event);
    if (found == events_.end()) return;
    const auto lane = postgres_.lane_of(found->second.row.key);
    const auto owner = postgres_.owner_of(LaneId(lane));
    if (owner == sender.owner) return;
    world_.violated(
        "event {} is {} by {}, and its lane {} belongs to {}",
        sender.event,
        what,
        sender.owner,
        lane,
        owner.empty() ? "nobody" : owner
    );
}

namespace {

bool passes(const auto& position, EventSeq last, const Row& row) {
    return position.cursor.sees(row.xid) ||
           (position.target && position.target->sees(row.xid) && EventSeq(row.id, row.xid) <= last);
}

}  // namespace

void Checks::on_move(const outbox::LaneProgress& to) {
    const auto& from = postgres_.tables().lanes[static_cast<std::size_t>(to.lane.value())];
    for (const auto& [id, event] : events_) {
        if (postgres_.lane_of(event.row.key) != to.lane.value()) continue;
        if (passes(to, to.last_id, event.row)) {
            if (!event.is_over()) world_.violated("a position passes over event {}", id);
        } else if (passes(from, from.last, event.row)) {
            world_.violated("the position of lane {} goes back to event {}", to.lane.value(), id);
        }
    }
}

void Checks::on_pause(const outbox::Pause& pause, bool begins) {
    if (!begins) {
        std::erase_if(pauses_, [&](const auto& one) { return one.first == pause; });
        return;
    }
    pauses_.emplace_back(pause, world_.now());
    if (pause.scope == outbox::Pause::Scope::key) keys_[pause.name].was_paused = true;
    if (pause.scope == outbox::Pause::Scope::topic) were_paused_.insert(pause.name);
}

bool Checks::was_paused(const Event& event) const {
    return keys_.at(event.row.key).was_paused || were_paused_.contains(event.row.topic);
}

void Checks::judge_pause(const Event& event) const {
    for (const auto& [pause, since] : pauses_) {
        if (world_.now() < since + kPauseMax) continue;
        const auto& topic = event.row.topic.empty() ? std::string(kTopic) : event.row.topic;
        if (pause.scope == outbox::Pause::Scope::everything ||
            pause.name == (pause.scope == outbox::Pause::Scope::key ? event.row.key : topic))
            world_.violated("event {} is handed over although it is paused", event.row.id);
    }
}

// What an earlier owner has stored and could not write comes again, whoever is next.
void Checks::on_give(const outbox::Gift& gift) {
    ++totals_.hand_overs;
    if (gift.heir != 0) given_[gift.lane] = world_.now();
    const auto& at = postgres_.tables().lanes[static_cast<std::size_t>(gift.lane.value())];
    for (const auto& [id, event] : events_) {
        if (!event.stored || event.stored_under != at.epoch ||
            postgres_.lane_of(event.row.key) != gift.lane.value())
            continue;
        const auto letter = postgres_.tables().dead_letters.find(EventSeq(id, event.row.xid));
        const bool is_written = letter == postgres_.tables().dead_letters.end()
                                    ? passes(at, at.last, event.row)
                                    : !letter->second.is_open();
        if (!is_written)
            world_.violated(
                "lane {} is handed over, and event {} of it is stored and not written",
                gift.lane.value(),
                id
            );
    }
}

void Checks::on_claim(LaneId lane) {
    const auto found = given_.find(lane);
    if (found == given_.end()) return;
    const auto given = found->second;
    given_.erase(found);
    if (last_incident_ && *last_incident_ + kInfluence > given) return;
    const auto waited = world_.now() - given;
    longest_hand_over_ = std::max(longest_hand_over_, waited);
    if (waited > kHandOverMax)
        world_.violated(
            "lane {} was handed over and nobody published it for {} ms", lane.value(), waited / 1ms
        );
}

// Neither it nor another of its key is refused, or of a topic that may be missing.
bool Checks::is_stranger(const Event& event) const {
    const auto& key = keys_.at(event.row.key);
    if (key.was_parked || key.was_paused || !event.row.topic.empty()) return false;
    return std::ranges::all_of(key.events, [this](std::int64_t id) {
        return events_.at(id).row.topic.empty();
    });
}

void Checks::finish() {
    for (const auto& [id, event] : events_) {
        if (!event.is_over()) world_.violated("event {} is lost", id);
        if (has_operators_ && !event.stored && !event.is_discarded)
            world_.violated("event {} is neither stored nor discarded", id);
    }
    if (!is_punctual_) return;
    for (const auto& [id, event] : events_) {
        if (!event.stored || !is_stranger(event)) continue;
        const auto waited = event.first_stored - event.committed;
        longest_wait_ = std::max(longest_wait_, waited);
        if (waited > kStrangersWaitMax)
            world_.violated(
                "event {} of key {} waited {} ms for strangers", id, event.row.key, waited / 1ms
            );
    }
}

}  // namespace txstream::sim
