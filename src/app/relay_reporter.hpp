#pragma once

#include "config/config.hpp"
#include "outbox/backlog.hpp"
#include "outbox/history.hpp"
#include "outbox/members.hpp"
#include "relay/blockages.hpp"
#include "relay/metrics.hpp"
#include "relay/shared_breaker.hpp"
#include "relay/slow_topic.hpp"

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace txstream::app {

/// The settings that all relays of one outbox should have in common, without secrets: with others,
/// they publish to another place, in another form, or disturb each other.
std::map<std::string, std::string> shared_settings(const Config& config);
/// Short; equal for equal settings. Not meant to withstand anybody.
std::string digest_of(const std::map<std::string, std::string>& settings);

/// The value below which the part `q` of what was counted lies, evenly spread in its bucket; the
/// last bound where it lies beyond. Nothing where nothing was counted. Pure.
std::optional<double> quantile(
    std::span<const double> counts, std::span<const double> bounds, double q
);

/// txstream.members.topics: those for which most waits. Not `with_figures`: without what moves at
/// every look. Pure.
std::string topics_json(
    std::vector<relay::SlowTopic> topics,
    bool with_figures,
    Deadline::Clock::time_point now,
    std::chrono::system_clock::time_point wall_now
);

/// When a report is due: at once when something changed, otherwise now and then, so that a dead
/// process can be told from an idle one. Pure.
class ReportPace {
public:
    using Clock = Deadline::Clock;
    static constexpr std::chrono::milliseconds kInterval{5000};

    bool is_due(Clock::time_point now, bool has_changed) const noexcept {
        return now >= next_ || (has_changed && !is_resting_);
    }
    bool is_resting(Clock::time_point now) const noexcept { return is_resting_ && now < next_; }
    /// `random` in [0, 1): relays that started together spread their writes.
    void written(Clock::time_point now, double random) {
        is_resting_ = false;
        next_ = now + std::chrono::round<Clock::duration>(kInterval * (0.8 + 0.4 * random));
    }
    /// The database may be about to fail: it is left in peace until the next interval.
    void failed(Clock::time_point now) {
        is_resting_ = true;
        next_ = now + kInterval;
    }

private:
    Clock::time_point next_{};
    bool is_resting_ = false;
};

/// Writes down in PostgreSQL what this relay does (txstream.members) and, where it measures the
/// outbox as a whole, what became of it (txstream.history): the console, which may run elsewhere,
/// reads it. Nothing here disturbs delivery: what cannot be written is logged and left out.
///
/// Belongs to the thread of the session.
class RelayReporter {
public:
    struct State {
        std::vector<LaneId> lanes;
        std::size_t workers = 0;
        std::size_t workers_alive = 0;
        relay::SharedBreaker::View breaker;
        std::uint64_t in_flight = 0;
        std::vector<relay::Blockages::Current> blocked;
        std::vector<relay::HeldLane> held;
        std::vector<relay::SlowTopic> topics;
        const outbox::Backlog* backlog = nullptr;  ///< none: it could not be measured
        bool is_reporter = false;                  ///< it owns the first lane
    };

    RelayReporter(const Config& config, std::string name, const relay::Metrics& metrics);

    const std::string& name() const noexcept { return self_.name; }
    /// Writes what is due. Waits for the server for a short time only.
    Task<> report(pg::Connection& session, State state);
    bool has_reported() const noexcept { return has_reported_; }
    /// The process ends: removes its row.
    Task<> leave(pg::Connection& session, Deadline deadline) const;

private:
    /// What was counted at a look.
    struct Sample {
        Deadline::Clock::time_point at;
        std::uint64_t published;
        std::vector<double> end_to_end;
    };

    void sample(Deadline::Clock::time_point now);
    outbox::Member member_of(const State& state) const;
    outbox::HistoryEntry entry_of(const State& state) const;
    Task<Result<>> write_member(pg::Connection& session, outbox::Member member);
    Task<Result<>> write_history(pg::Connection& session, const State& state);

    outbox::Member self_;  ///< what does not change
    unsigned breaker_failures_max_;
    const relay::Metrics& metrics_;
    std::mt19937_64 random_{std::random_device{}()};
    ReportPace pace_;
    std::deque<Sample> samples_;  ///< of the last kWindow, the oldest first
    outbox::Member written_;      ///< without what moves all the time
    std::int64_t slot_ = 0;       ///< of the last entry
    outbox::HistoryEntry entry_;  ///< the last one
    std::set<std::string> blocked_in_slot_;
    std::optional<Deadline::Clock::time_point> cleaned_at_;
    bool has_reported_ = false;
};

}  // namespace txstream::app
