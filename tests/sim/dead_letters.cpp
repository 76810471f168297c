// Postgres: dead letters, as outbox/lane_store_replay.cpp and operators treat them.

#include "tests/sim/postgres.hpp"

#include <algorithm>

namespace txstream::sim {

void Postgres::decide(EventSeq id, bool discards) {
    const auto found = tables_.dead_letters.find(id);
    if (found == tables_.dead_letters.end() || found->second.state != DeadLetter::State::parked)
        return;
    world_.note("an operator {} event {}", discards ? "discards" : "replays", id.id());
    if (discards) on_discard(id);
    write(Durability::flushed, [id, discards](Tables& tables) {
        auto& letter = tables.dead_letters.at(id);
        letter.state = discards ? DeadLetter::State::discarded : DeadLetter::State::replaying;
        letter.is_decided = true;
    });
}

void Postgres::pause(outbox::Pause pause) {
    world_.note("an operator pauses {}", pause.name.empty() ? "everything" : pause.name);
    on_pause(pause, true);
    write(Durability::flushed, [pause](Tables& tables) { tables.pauses.push_back(pause); });
}

void Postgres::resume() {
    if (tables_.pauses.empty()) return;
    const auto pause = tables_.pauses.front();
    world_.note("an operator resumes {}", pause.name.empty() ? "everything" : pause.name);
    on_pause(pause, false);
    write(Durability::flushed, [pause](Tables& tables) { std::erase(tables.pauses, pause); });
}

std::vector<LaneId> Postgres::ours(const Owner& owner, const std::vector<LaneId>& lanes) const {
    std::vector<LaneId> found;
    const auto lease = tables_.leases.find(owner.name);
    if (lease == tables_.leases.end() || lease->second.number != owner.lease) return found;
    for (const auto id : lanes) {
        if (tables_.lanes[static_cast<std::size_t>(id.value())].lease == owner.lease)
            found.push_back(id);
    }
    return found;
}

outbox::Decisions Postgres::decisions(
    const Owner& owner, const std::vector<LaneId>& lanes, std::size_t limit
) {
    const auto mine = ours(owner, lanes);
    outbox::Decisions found;
    std::vector<EventSeq> noticed;
    for (const auto& [id, letter] : tables_.dead_letters) {
        const LaneId lane(lane_of(letter.key));
        if (!letter.is_decided || std::ranges::find(lanes, lane) == lanes.end()) continue;
        if (found.keys.size() == limit) break;
        found.keys.push_back({lane, letter.key, letter.holds});
        if (letter.state != DeadLetter::State::replaying &&
            std::ranges::find(mine, lane) != mine.end())
            noticed.push_back(id);
    }
    if (noticed.empty()) return found;
    write(Durability::flushed, [noticed](Tables& tables) {
        for (const auto id : noticed) tables.dead_letters.at(id).is_decided = false;
    });
    return found;
}

outbox::Letters Postgres::letters(
    const std::vector<outbox::LaneKey>& keys, const outbox::LetterLimit& limit
) const {
    outbox::Letters found;
    std::vector<tests::FakeEvent> events;
    std::size_t bytes = 0;
    for (std::size_t number = 0; number < keys.size(); ++number) {
        for (const auto& [id, letter] : tables_.dead_letters) {
            if (!letter.is_open() || letter.key != keys[number].key ||
                letter.holds != keys[number].holds ||
                (!letter.holds && letter.state != DeadLetter::State::replaying))
                continue;
            if (events.size() == limit.rows || bytes >= limit.bytes) found.is_cut = true;
            if (found.is_cut) break;
            const auto& row = committed_.at(id.id());
            auto event = event_of(row);
            event.has_content = static_cast<std::size_t>(event.size) <= limit.event_bytes;
            if (event.has_content) bytes += static_cast<std::size_t>(event.size);
            if (!event.has_content) event.payload.reset();
            events.push_back(std::move(event));
            found.key.push_back(number);
            found.stops.push_back(letter.stops());
        }
    }
    found.is_cut = found.is_cut || events.size() == limit.rows;
    found.events = tests::fake_events(events);
    return found;
}

std::vector<LaneId> Postgres::settle(
    const Owner& owner,
    const std::vector<LaneId>& lanes,
    const std::vector<outbox::SettledLetter>& letters
) {
    auto mine = ours(owner, lanes);
    std::vector<outbox::SettledLetter> done;
    for (const auto& one : letters) {
        const auto found = tables_.dead_letters.find(one.id);
        if (found == tables_.dead_letters.end() || !found->second.is_open() ||
            std::ranges::find(mine, LaneId(lane_of(found->second.key))) == mine.end())
            continue;
        world_.note("event {} is settled: {}", one.id.id(), one.error_class);
        done.push_back(one);
    }
    if (done.empty()) return mine;
    write(Durability::written, [done](Tables& tables) {
        for (const auto& one : done) {
            auto& letter = tables.dead_letters.at(one.id);
            if (!letter.is_open()) continue;
            letter.is_decided = false;
            letter.attempts += one.attempts;
            letter.state =
                one.error_class.empty() ? DeadLetter::State::replayed : DeadLetter::State::parked;
            letter.waits = one.waits;
            if (!one.error_class.empty()) letter.holds = letter.holds && one.holds;
            if (!one.error_class.empty()) letter.error_class = one.error_class;
        }
    });
    return mine;
}

std::vector<std::string> Postgres::revive(
    const Owner& owner, const std::vector<LaneId>& lanes, const outbox::Revival& which
) {
    const auto mine = ours(owner, lanes);
    std::vector<std::string> topics;
    std::vector<EventSeq> revived;
    for (const auto& [id, letter] : tables_.dead_letters) {
        const auto& topic = committed_.at(id.id()).topic;
        const bool is_meant =
            which.topics.empty() || std::ranges::find(which.topics, topic) != which.topics.end();
        if (letter.state != DeadLetter::State::parked || !letter.waits || !is_meant ||
            std::ranges::find(mine, LaneId(lane_of(letter.key))) == mine.end() ||
            std::ranges::find(which.paused_topics, topic) != which.paused_topics.end() ||
            std::ranges::find(which.paused_keys, letter.key) != which.paused_keys.end() ||
            static_cast<std::size_t>(std::ranges::count(topics, topic)) >= which.letters)
            continue;
        world_.note("event {} is tried again for its topic", id.id());
        topics.push_back(topic);
        revived.push_back(id);
    }
    if (revived.empty()) return topics;
    write(Durability::flushed, [revived](Tables& tables) {
        for (const auto id : revived) {
            auto& letter = tables.dead_letters.at(id);
            if (letter.state != DeadLetter::State::parked) continue;
            letter.state = DeadLetter::State::replaying;
            letter.is_decided = true;
        }
    });
    return topics;
}

}  // namespace txstream::sim
