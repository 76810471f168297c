#include "relay/blockages.hpp"

#include "outbox/instance.hpp"
#include "telemetry/log.hpp"

#include <algorithm>
#include <utility>

namespace txstream::relay {

namespace {

constexpr std::string_view kComponent = "relay";

std::uint32_t bit(Blockage blockage) {
    return 1U << static_cast<unsigned>(blockage);
}

}  // namespace

std::string_view to_string(Blockage blockage) {
    switch (blockage) {
        case Blockage::database_unavailable:
            return "database_unavailable";
        case Blockage::foreign_instance:
            return "foreign_instance";
        case Blockage::outbox_unusable:
            return "outbox_unusable";
        case Blockage::cannot_acknowledge:
            return "cannot_acknowledge";
        case Blockage::cannot_park:
            return "cannot_park";
        case Blockage::kafka_unavailable:
            return "kafka_unavailable";
        case Blockage::topic_missing:
            return "topic_missing";
        case Blockage::topic_refused:
            return "topic_refused";
        case Blockage::no_worker:
            return "no_worker";
        case Blockage::paused:
            return "paused";
        case Blockage::stalled:
            return "stalled";
    }
    return "";
}

std::string_view header_word(Blockage blockage) {
    static const auto words = [] {
        std::map<Blockage, std::string> all;
        for (const auto one : kBlockages) {
            auto& word = all[one] = to_string(one);
            std::ranges::replace(word, '_', '-');
        }
        return all;
    }();
    return words.at(blockage);
}

std::string_view explain(Blockage blockage) {
    switch (blockage) {
        case Blockage::database_unavailable:
            return "the database cannot be used; delivery goes on when it is back";
        case Blockage::foreign_instance:
            return "the outbox was restored or copied; 'txstream outbox rebase --dry-run' shows "
                   "what "
                   "would be sent, and without --dry-run decides it (docs/schema.md, \"After a "
                   "restore\")";
        case Blockage::outbox_unusable:
            return "the tables of the outbox, or our rights on them, are not what they must be; "
                   "run 'txstream migrate validate'";
        case Blockage::cannot_acknowledge:
            return "cursors cannot be moved (a lock, a missing right, a full disk); nothing new is "
                   "sent until it works";
        case Blockage::cannot_park:
            return "an event that Kafka refuses cannot be put into txstream.dead_letters; its lane "
                   "waits, others go on";
        case Blockage::kafka_unavailable:
            return "no broker acknowledges; events wait, and go out when Kafka is back";
        case Blockage::topic_missing:
            return "the topic does not exist and cannot be made; make it or grant the right";
        case Blockage::topic_refused:
            return "an event's own topic does not exist or refuses us; its events wait, and with "
                   "them later ones of their keys; everything else goes on";
        case Blockage::no_worker:
            return "no worker is alive that holds the lanes; start a relay, or see its log";
        case Blockage::paused:
            return "an operator has paused it; 'txstream relays resume' ends that";
        case Blockage::stalled:
            return "events wait and none is published; see the log of all relays";
    }
    return "";
}

bool concerns_all_lanes(Blockage blockage) {
    return blockage != Blockage::cannot_park && blockage != Blockage::topic_refused &&
           blockage != Blockage::paused;
}

bool heals_by_itself(Blockage blockage) {
    return blockage == Blockage::database_unavailable || blockage == Blockage::kafka_unavailable ||
           blockage == Blockage::paused;
}

void Blockages::set(Teller teller, Blockage blockage, std::string_view detail) {
    const std::scoped_lock lock(mutex_);
    auto& entry = entries_[blockage];
    if (std::ranges::find(entry.tellers, teller) != entry.tellers.end()) {
        // What it is like may change while it lasts.
        if (teller == entry.tellers.front()) entry.detail = detail;
        return;
    }
    entry.tellers.push_back(teller);
    if (entry.tellers.size() > 1) return;
    entry.since = runtime::WallClock::now();
    entry.detail = detail;
    // An operator's will is no error; Delivery says what was paused.
    if (blockage != Blockage::paused)
        log::error(
            kComponent,
            "events are not delivered",
            {{"reason", to_string(blockage)}, {"meaning", explain(blockage)}, {"error", detail}}
        );
    if (on_change_) on_change_(blockage, true);
}

void Blockages::clear(Teller teller, Blockage blockage) {
    const std::scoped_lock lock(mutex_);
    if (const auto entry = entries_.find(blockage); entry != entries_.end()) erase(entry, teller);
}

void Blockages::set_unless_explained(
    bool is_blocked, Teller teller, Blockage blockage, std::string_view detail
) {
    // "Stalled" explains nothing.
    const auto now = current();
    const bool is_explained = std::ranges::any_of(now, [&](const auto& one) {
        return one.blockage != blockage && one.blockage != Blockage::stalled;
    });
    if (is_blocked && !is_explained) {
        set(teller, blockage, detail);
    } else {
        clear(teller, blockage);
    }
}

void Blockages::forget(Teller teller) {
    const std::scoped_lock lock(mutex_);
    for (auto entry = entries_.begin(); entry != entries_.end();) erase(entry++, teller);
    held_.erase(teller);
}

void Blockages::hold_lanes(Teller teller, std::vector<HeldLane> lanes) {
    const std::scoped_lock lock(mutex_);
    if (lanes.empty()) {
        held_.erase(teller);
    } else {
        held_[teller] = std::move(lanes);
    }
}

void Blockages::erase(std::map<Blockage, Entry>::iterator entry, Teller teller) {
    auto& [blockage, what] = *entry;
    if (std::erase(what.tellers, teller) == 0 || !what.tellers.empty()) return;
    log::info(kComponent, "no longer a reason", {{"reason", to_string(blockage)}});
    if (on_change_) on_change_(blockage, false);
    entries_.erase(entry);
}

std::vector<Blockages::Current> Blockages::current() const {
    const std::scoped_lock lock(mutex_);
    std::vector<Current> all;
    for (const auto& [blockage, entry] : entries_)
        all.push_back({blockage, entry.since, entry.detail});
    return all;
}

std::vector<HeldLane> Blockages::held_lanes() const {
    const std::scoped_lock lock(mutex_);
    std::vector<HeldLane> all;
    for (const auto& [teller, lanes] : held_) all.insert(all.end(), lanes.begin(), lanes.end());
    return all;
}

bool Blockages::contains(Blockage blockage) const {
    const std::scoped_lock lock(mutex_);
    return entries_.contains(blockage);
}

std::optional<Blockage> Blockages::holding_up(Teller first, std::size_t count) const {
    const std::scoped_lock lock(mutex_);
    for (const auto& [blockage, entry] : entries_) {
        if (!concerns_all_lanes(blockage)) continue;
        const bool is_of_kafka =
            blockage == Blockage::kafka_unavailable || blockage == Blockage::topic_missing;
        if (std::ranges::any_of(entry.tellers, [&](Teller teller) {
                return (teller >= first && teller - first < count) ||
                       (is_of_kafka && teller == kOwner);
            }))
            return blockage;
    }
    return std::nullopt;
}

void tell_of(const Error& error, unsigned failures, WorkerBlockages& blockages) {
    constexpr unsigned kPassing = 3;
    if (error.origin() == outbox::kForeignInstance) {
        blockages.set(Blockage::foreign_instance, error.what());
    } else if (!error.retryable()) {
        blockages.set(Blockage::outbox_unusable, error.what());
    } else if (failures >= kPassing || error.code() == Code::timed_out) {
        blockages.set(Blockage::database_unavailable, error.what());
    }
}

void WorkerBlockages::set(Blockage blockage, std::string_view detail) {
    if ((told_ & bit(blockage)) != 0) return;
    told_ |= bit(blockage);
    all_.set(teller_, blockage, detail);
}

bool WorkerBlockages::clear(Blockage blockage) {
    if ((told_ & bit(blockage)) == 0) return false;
    told_ &= ~bit(blockage);
    all_.clear(teller_, blockage);
    return true;
}

void WorkerBlockages::set_if(bool is_blocked, Blockage blockage, std::string_view detail) {
    if (is_blocked) {
        set(blockage, detail);
    } else {
        clear(blockage);
    }
}

void WorkerBlockages::hold_lanes(std::vector<HeldLane> lanes) {
    if (lanes == held_) return;
    held_ = std::move(lanes);
    all_.hold_lanes(teller_, held_);
}

}  // namespace txstream::relay
