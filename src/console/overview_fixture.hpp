#pragma once

#include "console/overview.hpp"

#include <string>
#include <utility>
#include <vector>

/// What PostgreSQL and Kafka say where all is well, for tests of what is said of it.
namespace txstream::console {

using namespace std::chrono_literals;

inline const Moment kNow{1'800'000'000s};

inline constexpr const char* kSettings =
    R"({"KAFKA_BROKERS":"k1:9092,k2:9092","KAFKA_TOPIC_EVENTS":"payments","KAFKA_TOPIC_PARTITIONS":"12",)"
    R"("KAFKA_TOPIC_REPLICATION_FACTOR":"-1"})";

inline outbox::SeenMember member(std::string blockages = "[]", std::string name = "a") {
    outbox::SeenMember seen;
    seen.seen_at = kNow - 2s;
    seen.silent = 2s;
    auto& one = seen.member;
    one.name = name + ":1:ff";
    one.host = name;
    one.pid = 1;
    one.version = "1.0.0";
    one.revision = "r1";
    one.started_at = kNow - 24h;
    one.breaker_since = kNow - 24h;
    one.lanes = {LaneId(0)};
    one.workers = one.workers_alive = 3;
    one.settings = kSettings;
    one.config_digest = "d";
    one.blockages = std::move(blockages);
    return seen;
}

inline outbox::HistorySlot slot(
    std::chrono::seconds ago, std::int64_t appended, std::int64_t settled
) {
    outbox::HistorySlot one;
    one.at = kNow - ago;
    one.pending = static_cast<std::uint64_t>(appended - settled);
    if (one.pending > 0) one.oldest_pending_ms = 800;
    one.appended = appended;
    one.settled = settled;
    one.lanes_owned = 32;
    one.relays = 1;
    return one;
}

/// One relay that owns all lanes and publishes 42 events/s.
inline OverviewState healthy() {
    OverviewState state;
    state.now = kNow;
    state.topic = "payments";
    state.database.state = DatabaseView::State::ok;
    state.looked_at = kNow;
    state.kafka.state = KafkaView::State::ok;
    state.kafka.topics["payments"] = {.exists = true, .partitions = 12, .replication_factor = 3};
    state.situation.now = kNow;
    state.situation.lanes = state.situation.lanes_owned = 32;
    state.situation.was_ever_owned = true;
    state.situation.advanced_at = kNow - 1s;
    state.situation.newest_event_at = kNow - 1s;
    state.members = {member()};
    state.history = {slot(1s, 1841, 1840), slot(11s, 1420, 1420), slot(21s, 1000, 1000)};
    return state;
}

inline std::string blockage(const std::string& code, const std::string& more = {}) {
    return R"([{"code":")" + code + R"(","since":"2027-01-15T07:57:00.000000Z")" + more + "}]";
}

inline std::vector<std::string> codes(const OverviewState& state) {
    std::vector<std::string> all;
    for (const auto& one : causes_of(state)) all.push_back(one.code);
    return all;
}

using Codes = std::vector<std::string>;

}  // namespace txstream::console
