#include "app/relay_reporter.hpp"

#include "base/utf8.hpp"
#include "base/version.hpp"
#include "domain/timestamp.hpp"
#include "telemetry/histogram_batch.hpp"
#include "telemetry/log.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>
#include <unistd.h>
#include <utility>

namespace txstream::app {

namespace {

using Json = nlohmann::ordered_json;
using Clock = Deadline::Clock;

constexpr std::string_view kComponent = "relay";
// A lock, or a server that is about to be away: the measuring of the backlog goes on after it.
constexpr std::chrono::milliseconds kWriteTimeout{1000};
constexpr std::chrono::minutes kCleanInterval{60};
// Rates and quantiles are of this time.
constexpr std::chrono::seconds kWindow{10};
constexpr std::size_t kDetailBytesMax = 500;
constexpr std::size_t kTopicsMax = 50;

std::string host_name() {
    std::array<char, 256> host{};
    if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
    return storable_text(host.data(), host.size());
}

outbox::Member::Time micros(std::chrono::system_clock::time_point time) {
    return std::chrono::floor<std::chrono::microseconds>(time);
}

std::string rfc3339(std::chrono::system_clock::time_point time) {
    std::string text;
    domain::append_rfc3339(text, micros(time));
    return text;
}

std::string dump(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json blockages_of(const RelayReporter::State& state) {
    auto all = Json::array();
    for (const auto& one : state.blocked) {
        Json json{{"code", relay::to_string(one.blockage)}, {"since", rfc3339(one.since)}};
        if (!one.detail.empty()) json["detail"] = storable_text(one.detail, kDetailBytesMax);
        for (const auto& held : state.held) {
            if (held.why != one.blockage) continue;
            Json lane{{"lane", held.lane.value()}};
            if (!held.topic.empty()) lane["topic"] = held.topic;
            json["lanes"].push_back(std::move(lane));
        }
        all.push_back(std::move(json));
    }
    return all;
}

std::int64_t slot_of_now() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::floor<std::chrono::seconds>(now) / outbox::kHistorySlot;
}

/// Without what moves at every look: that waits for the next interval.
outbox::Member standing(outbox::Member member, const RelayReporter::State& state) {
    member.topics = topics_json(state.topics, false, {}, {});
    member.published = member.failed = member.parked = 0;
    member.published_milli_per_s = member.in_flight = 0;
    member.breaker_failures = 0;
    if (member.pending_by_lane) member.pending_by_lane->clear();
    return member;
}

}  // namespace

std::map<std::string, std::string> shared_settings(const Config& config) {
    const auto ms = [](std::chrono::milliseconds time) {
        return fmt::format("{}ms", time.count());
    };
    std::map<std::string, std::string> all{
        {"KAFKA_BROKERS", config.kafka.brokers},
        {"KAFKA_TOPIC_EVENTS", config.kafka.topic},
        {"KAFKA_TOPIC_DEAD_LETTERS", config.kafka.dead_letter_topic},
        {"KAFKA_TOPIC_PARTITIONS", fmt::to_string(config.kafka.topic_partitions)},
        {"KAFKA_TOPIC_REPLICATION_FACTOR", fmt::to_string(config.kafka.topic_replication_factor)},
        {"KAFKA_MESSAGE_BYTES_MAX", fmt::to_string(config.kafka.message_bytes_max)},
        {"KAFKA_TIMEOUT", ms(config.kafka.publish_timeout)},
        {"WORKER_LEASE", ms(config.relay.lease)},
        {"OUTBOX_RETENTION", ms(config.retention.events)},
        {"WORKER_MAX_RETRIES", fmt::to_string(config.relay.refused_retries_max)},
        {"WORKER_SKIP_TOPICS", fmt::format("{}", fmt::join(config.relay.skip_topics, ","))},
        {"WORKER_SKIP_TYPES", fmt::format("{}", fmt::join(config.relay.skip_types, ","))},
        {"KAFKA_CIRCUIT_BREAKER_ENABLED", config.breaker.enabled ? "true" : "false"},
        {"KAFKA_FAILURE_THRESHOLD", fmt::to_string(config.breaker.failure_threshold)},
        {"KAFKA_SUCCESS_THRESHOLD", fmt::to_string(config.breaker.success_threshold)},
        {"KAFKA_RESET_TIMEOUT", ms(config.breaker.reset_timeout)},
    };
    // What decides in which form a record is sent; no login is among them.
    for (const char* name : {"compression.type", "compression.codec", "security.protocol"}) {
        if (const auto found = config.kafka.producer.find(name);
            found != config.kafka.producer.end())
            all.emplace(name, found->second);
    }
    return all;
}

std::string topics_json(
    std::vector<relay::SlowTopic> topics,
    bool with_figures,
    Clock::time_point now,
    std::chrono::system_clock::time_point wall_now
) {
    const auto worse = [](const auto& left, const auto& right) {
        return std::tuple(right.is_closed, right.events, left.name) <
               std::tuple(left.is_closed, left.events, right.name);
    };
    std::ranges::sort(topics, worse);
    if (topics.size() > kTopicsMax) topics.resize(kTopicsMax);
    const auto wall = [&](Clock::time_point time) {
        return rfc3339(wall_now + std::chrono::round<std::chrono::milliseconds>(time - now));
    };
    auto all = Json::array();
    for (const auto& one : topics) {
        Json json{
            {"name", storable_text(one.name, kDetailBytesMax)},
            {"state", one.is_closed ? "closed" : "careful"},
            {"error", storable_text(one.error, kDetailBytesMax)}
        };
        if (with_figures) {
            json["since"] = wall(one.since);
            json["until"] = one.until ? Json(wall(*one.until)) : Json(nullptr);
            json["events"] = one.events;
            json["keys"] = one.keys;
            json["next_try"] = one.next_try ? Json(wall(*one.next_try)) : Json(nullptr);
        }
        all.push_back(std::move(json));
    }
    return dump(all);
}

std::string digest_of(const std::map<std::string, std::string>& settings) {
    // FNV-1a
    std::uint64_t hash = 0xcbf29ce484222325;
    const auto add = [&](std::string_view text) {
        for (const char byte : text)
            hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
        hash = (hash ^ 0xff) * 0x100000001b3;  // no text in UTF-8 has it
    };
    for (const auto& [name, value] : settings) {
        add(name);
        add(value);
    }
    return fmt::format("{:016x}", hash);
}

std::optional<double> quantile(
    std::span<const double> counts, std::span<const double> bounds, double q
) {
    double total = 0;
    for (const double count : counts) total += count;
    if (!(total > 0)) return std::nullopt;
    const double wanted = total * q;
    double below = 0;
    for (std::size_t i = 0; i < counts.size() && i < bounds.size(); ++i) {
        if (below + counts[i] >= wanted && counts[i] > 0) {
            const double low = i == 0 ? 0 : bounds[i - 1];
            return low + (bounds[i] - low) * std::max(wanted - below, 0.0) / counts[i];
        }
        below += counts[i];
    }
    return bounds.back();
}

RelayReporter::RelayReporter(const Config& config, std::string name, const relay::Metrics& metrics)
    : breaker_failures_max_(config.breaker.failure_threshold), metrics_(metrics) {
    const auto settings = shared_settings(config);
    self_.name = storable_text(name, 512);
    self_.host = host_name();
    self_.pid = getpid();
    self_.version = version();
    self_.revision = revision();
    self_.started_at = micros(std::chrono::system_clock::now());
    self_.settings = dump(Json(settings));
    self_.config_digest = digest_of(settings);
    self_.breaker_since = self_.started_at;
}

Task<> RelayReporter::report(pg::Connection& session, State state) {
    const auto now = Clock::now();
    sample(now);
    for (const auto& one : state.blocked) blocked_in_slot_.emplace(relay::to_string(one.blockage));
    auto member = member_of(state);
    auto stands = standing(member, state);
    if (pace_.is_resting(now)) co_return;
    Result<> written;
    if (pace_.is_due(now, stands != written_)) {
        written = co_await write_member(session, std::move(member));
        if (written) {
            written_ = std::move(stands);
            has_reported_ = true;
            pace_.written(now, std::generate_canonical<double, 32>(random_));
        }
    }
    if (written && state.backlog != nullptr) written = co_await write_history(session, state);
    if (written) co_return;
    pace_.failed(now);
    log::warn(
        kComponent,
        "cannot write down what this relay does; delivery goes on, the console knows less",
        {{"error", written.error().what()}}
    );
}

Task<Result<>> RelayReporter::write_member(pg::Connection& session, outbox::Member member) {
    const auto now = Clock::now();
    if (!cleaned_at_ || now - *cleaned_at_ > kCleanInterval) {
        TXS_CO_CHECK(co_await outbox::remove_dead_members(session, Deadline::in(kWriteTimeout)));
        cleaned_at_ = now;
    }
    co_return co_await outbox::write_member(
        session, std::move(member), Deadline::in(kWriteTimeout)
    );
}

Task<Result<>> RelayReporter::write_history(pg::Connection& session, const State& state) {
    // Others have lanes, and the first of them reports.
    if (!state.is_reporter && !state.lanes.empty()) co_return Result<>();
    const auto slot = slot_of_now();
    if (slot != slot_) {
        blocked_in_slot_.clear();
        for (const auto& one : state.blocked)
            blocked_in_slot_.emplace(relay::to_string(one.blockage));
    }
    auto entry = entry_of(state);
    if (slot == slot_ && (entry == entry_ || !state.is_reporter)) co_return Result<>();
    TXS_CO_CHECK(co_await outbox::write_history(
        session, entry, state.is_reporter, Deadline::in(kWriteTimeout)
    ));
    slot_ = slot;
    entry_ = std::move(entry);
    co_return Result<>();
}

void RelayReporter::sample(Clock::time_point now) {
    samples_.push_back({now, metrics_.totals().published, metrics_.end_to_end_counts()});
    // The oldest is as old as the window, or a little older.
    while (samples_.size() > 2 && now - samples_[1].at >= kWindow) samples_.pop_front();
}

outbox::Member RelayReporter::member_of(const State& state) const {
    auto member = self_;
    member.lanes = state.lanes;
    std::ranges::sort(member.lanes);
    member.workers = static_cast<std::int64_t>(state.workers);
    member.workers_alive = static_cast<std::int64_t>(state.workers_alive);
    member.breaker = policy::to_string(state.breaker.state);
    member.breaker_failures = state.breaker.failures;
    member.breaker_failures_max = breaker_failures_max_;
    if (state.workers > 0) member.breaker_since = micros(state.breaker.since);
    if (state.breaker.probe_at) {
        const auto left = *state.breaker.probe_at - Clock::now();
        member.breaker_probe_at = micros(
            std::chrono::system_clock::now() + std::chrono::round<std::chrono::milliseconds>(left)
        );
    }
    member.blockages = dump(blockages_of(state));
    member.topics = topics_json(state.topics, true, Clock::now(), std::chrono::system_clock::now());
    if (const auto loss = metrics_.last_loss()) {
        member.leases_lost = static_cast<std::int64_t>(loss->times);
        member.lease_lost_at = micros(loss->at);
        member.lease_lost_how = relay::to_string(loss->how);
    }
    const auto totals = metrics_.totals();
    member.published = static_cast<std::int64_t>(totals.published);
    member.failed = static_cast<std::int64_t>(totals.failed);
    member.parked = static_cast<std::int64_t>(totals.parked);
    if (samples_.size() > 1) {
        const auto& first = samples_.front();
        const auto& last = samples_.back();
        const std::chrono::duration<double> time = last.at - first.at;
        member.published_milli_per_s = std::llround(
            static_cast<double>(last.published - first.published) * 1000 / time.count()
        );
    }
    member.in_flight = static_cast<std::int64_t>(state.in_flight);
    if (state.is_reporter && state.backlog != nullptr)
        member.pending_by_lane = state.backlog->pending_by_lane;
    return member;
}

outbox::HistoryEntry RelayReporter::entry_of(const State& state) const {
    const auto& backlog = *state.backlog;
    outbox::HistoryEntry entry;
    entry.pending = backlog.pending;
    entry.is_estimate = backlog.is_estimate;
    if (backlog.oldest_pending > 0) {
        const std::chrono::duration<double> now =
            std::chrono::system_clock::now().time_since_epoch();
        entry.oldest_pending_ms =
            std::llround(std::max(now.count() - backlog.oldest_pending, 0.0) * 1000);
    }
    entry.appended = backlog.appended;
    entry.settled = backlog.settled;
    entry.parked = backlog.parked;
    entry.breaker = static_cast<int>(state.breaker.state);
    entry.blockages = {blocked_in_slot_.begin(), blocked_in_slot_.end()};
    auto counts = samples_.back().end_to_end;
    const auto& before = samples_.front().end_to_end;
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] -= before[i];
    const auto micros_of = [&](double q) -> std::optional<std::int64_t> {
        const auto seconds = quantile(counts, telemetry::kEndToEndBuckets, q);
        return seconds ? std::optional(std::llround(*seconds * 1e6)) : std::nullopt;
    };
    entry.p50_us = micros_of(0.5);
    entry.p95_us = micros_of(0.95);
    entry.p99_us = micros_of(0.99);
    return entry;
}

Task<> RelayReporter::leave(pg::Connection& session, Deadline deadline) const {
    const auto left = co_await outbox::remove_member(session, name(), deadline);
    if (!left)
        log::warn(
            kComponent,
            "cannot remove this relay from txstream.members; it is shown as silent for a day",
            {{"error", left.error().what()}}
        );
}

}  // namespace txstream::app
