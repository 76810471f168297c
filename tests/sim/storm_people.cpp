// Storm: who writes, and who decides about what was written.

#include "tests/sim/storm.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace txstream::sim {

namespace {

constexpr int kTransactionsOfWriter = 9;
constexpr int kDecisions = 5;
constexpr int kPausesOfOperator = 2;

}  // namespace

// --- writers

Task<> Storm::write() {
    auto& random = world_.random;
    for (int i = 0; i < kTransactionsOfWriter; ++i) {
        co_await transaction();
        co_await wait(outside_.executor(), random.upto(random.roll(4) == 0 ? 200ms : 20ms));
    }
}

// It takes its time, overlaps with others, is prepared or rolled back; no two hold the same key.
Task<> Storm::transaction() {
    auto& random = world_.random;
    const auto number = ++transactions_;
    const auto xid = postgres_.begin();
    for (auto left = 1 + random.roll(3); left > 0; --left) {
        auto key = fmt::format("k{}", random.roll(keys_));
        if (const auto [place, is_free] = locked_.try_emplace(key, number);
            !is_free && place->second != number)
            continue;
        (void)postgres_.insert(xid, make_row(std::move(key)));
        co_await wait(outside_.executor(), random.upto(random.roll(10) == 0 ? 150ms : 4ms));
    }
    while (is_quiet_) co_await wait(outside_.executor(), 2ms);
    if (random.roll(8) == 0) {
        postgres_.roll_back(xid);
    } else {
        if (random.roll(12) == 0 && postgres_.prepare(xid))
            co_await wait(outside_.executor(), random.upto(400ms));
        while (is_quiet_) co_await wait(outside_.executor(), 2ms);
        (void)postgres_.commit(xid);
    }
    std::erase_if(locked_, [&](const auto& lock) { return lock.second == number; });
}

Row Storm::make_row(std::string key) {
    auto& random = world_.random;
    Row row;
    row.key = std::move(key);
    std::string padding;
    std::string word = "fine";
    if (random.roll(4) == 0) padding.assign(static_cast<std::size_t>(random.roll(150)), '.');
    if (kinds_.skips && random.roll(3) == 0) row.type = kSkippedType;
    if (kinds_.topics && random.roll(side_share_) == 0) row.topic = "side";
    if (kinds_.refusals) {
        if (random.roll(30) == 0) word = kPoison;
        if (random.roll(60) == 0) word = kDamaged;
        if (random.roll(30) == 0) padding.assign(kEventBytesMax, '+');
        if (random.roll(10) == 0) row.topic = "small";
        if (row.topic == "small" && random.roll(3) == 0) padding.assign(300, '-');
    }
    row.payload = fmt::format(R"({{"n":{},"is":"{}{}"}})", random.roll(1000), word, padding);
    return row;
}

// --- operators

std::vector<EventSeq> Storm::undecided() const {
    std::vector<EventSeq> all;
    for (const auto& [id, letter] : postgres_.tables().dead_letters)
        if (letter.stops()) all.push_back(id);
    return all;
}

// Decides about one letter, or about all, while everything else goes on.
Task<> Storm::operate() {
    auto& random = world_.random;
    for (int i = 0; i < kDecisions; ++i) {
        co_await wait(outside_.executor(), random.upto(300ms));
        const auto letters = undecided();
        if (letters.empty()) continue;
        const auto which = random.roll(static_cast<std::int64_t>(letters.size()) + 1);
        for (std::int64_t n = 0; n < static_cast<std::int64_t>(letters.size()); ++n) {
            const bool is_all = which == static_cast<std::int64_t>(letters.size());
            if (n == which || is_all)
                postgres_.decide(letters[static_cast<std::size_t>(n)], random.roll(4) == 0);
        }
    }
}

outbox::Pause Storm::make_pause() {
    using Scope = outbox::Pause::Scope;
    auto& random = world_.random;
    // Where strangers must not wait, only what they have nothing to do with.
    const bool is_wide = !kinds_.refusals || kinds_.database;
    switch (random.roll(is_wide ? 4 : 2)) {
        case 0:
            return {Scope::key, fmt::format("k{}", random.roll(keys_)), "a test"};
        case 1:
            return {Scope::topic, "side", "a test"};
        case 2:
            return {Scope::topic, std::string(kTopic), "a test"};
        default:
            return {Scope::everything, "", "a test"};
    }
}

Task<> Storm::pause_and_resume() {
    auto& random = world_.random;
    for (int i = 0; i < kPausesOfOperator; ++i) {
        co_await wait(outside_.executor(), random.upto(200ms));
        if (kinds_.brokers && !kinds_.database && random.roll(2) == 0) {
            co_await pause_without_kafka();
        } else {
            postgres_.pause(make_pause());
            if (random.roll(3) == 0) postgres_.pause(make_pause());
            // Also longer than anybody's patience.
            co_await wait(outside_.executor(), random.upto(random.roll(2) == 0 ? 300ms : 1800ms));
        }
        while (!postgres_.tables().pauses.empty()) {
            postgres_.resume();
            co_await wait(outside_.executor(), random.upto(100ms));
        }
    }
}

// Of what was read while Kafka was away nothing leaves when it is back, since everything is paused.
Task<> Storm::pause_without_kafka() {
    auto& random = world_.random;
    world_.note("Kafka vanishes, and everything is paused");
    checks_.incident("Kafka vanishes");
    const auto away = Checks::kPauseMax + random.between(150ms, 500ms);
    kafka_.vanish(world_.now() + away);
    co_await wait(outside_.executor(), random.upto(100ms));
    postgres_.pause({outbox::Pause::Scope::everything, "", "a test"});
    co_await wait(outside_.executor(), away + random.between(300ms, 800ms));
}

// In peace: what fails again is discarded, until nothing is left.
Task<> Storm::decide_all() {
    bool discards = false;
    while (!checks_.is_settled() && !is_over_) {
        for (const auto id : undecided()) postgres_.decide(id, discards);
        discards = true;
        co_await wait(outside_.executor(), 200ms);
    }
}

}  // namespace txstream::sim
