#pragma once

#include "relay/skip_policy.hpp"
#include "tests/sim/kafka.hpp"
#include "tests/sim/postgres.hpp"
#include "tests/sim/simulation.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace txstream::sim {

/// What was promised, judged by what PostgreSQL committed and what Kafka stored. Knows nothing of
/// the code that is under test.
///
///   * nothing is lost: each committed event is stored or parked in the end;
///   * nothing is invented: each record is an event that was committed, with its key and content;
///   * of two events of a key and topic the earlier is stored first (of first deliveries; between
///     topics Kafka has no order);
///   * behind a parked event of its key nothing is stored, until that one is or is discarded; where
///     it was to be skipped, nothing waits for it, and its order alone is given up;
///   * what operators decide about parked events is carried out in the end;
///   * of what is paused nothing is handed over, from shortly after it was paused;
///   * a position passes over an event only when it is stored or parked;
///   * only an event that the broker refused when it was alone, or that is too large, is parked for
///     its own sake, with no more attempts than that; others only behind such a one;
///   * a position does not go back;
///   * a record is handed over, and leaves its process, only while its lane belongs to whoever does
///     it, by a lease that has not ended. (Of a process that stood still what was queued before may
///     leave when it wakes up.)
///   * a record is stored twice only where something went wrong shortly before;
///   * nothing is stored twice for a hand-over: whoever hands a lane over has written all that it
///     stored of it; and where all is well, the next owner has it within kHandOverMax;
///   * in the end all have as many lanes, within one;
///   * strangers are not delayed: while others are refused and all else is well, an event whose key
///     and topic are fine is stored within kStrangersWaitMax.
class Checks {
public:
    /// How long it may take until what went wrong makes records come twice: a lease, a pause.
    static constexpr Clock::duration kInfluence = 4s;
    /// Of an event that has nothing to do with those that are refused: the reports of a producer
    /// that ended are waited for (25 ms), and another one is made.
    static constexpr Clock::duration kStrangersWaitMax = 300ms;
    /// Until a relay knows that something is paused, and has done with what it had begun to replay.
    static constexpr Clock::duration kPauseMax = 400ms;
    /// Until a process that has stood still knows how late it is.
    static constexpr Clock::duration kWakingMax = 5ms;
    /// Between two looks of one that does not expect lanes yet, and the statements with which it
    /// claims them.
    static constexpr Clock::duration kHandOverMax = 200ms;

    Checks(Simulation& world, Postgres& postgres, Kafka& kafka);

    void incident(std::string_view what);
    /// Only refusals go wrong in this storm.
    void expect_punctuality() { is_punctual_ = true; }
    bool is_settled() const;
    void finish();

    /// Of each letter somebody decides in the end.
    void expect_decisions() { has_operators_ = true; }
    /// Refused events of these topics and types do not hold their keys.
    void expect_skips(relay::SkipPolicy skip) { skip_ = std::move(skip); }
    /// Nothing keeps relays from learning what is paused.
    void expect_pauses() { has_pauses_ = true; }

    struct Totals {
        std::size_t events = 0;
        std::size_t parked = 0;
        std::size_t replayed = 0;
        std::size_t again = 0;
        std::size_t incidents = 0;
        std::size_t hand_overs = 0;  ///< of lanes
    };
    const Totals& totals() const noexcept { return totals_; }
    /// The longest that a stranger has waited.
    Clock::duration longest_wait() const noexcept { return longest_wait_; }
    /// The longest that a lane which was handed over had nobody to publish it, where all was well.
    Clock::duration longest_hand_over() const noexcept { return longest_hand_over_; }

private:
    struct Event {
        Row row;
        Clock::time_point committed;
        std::optional<Clock::time_point> stored;  ///< the last time
        Clock::time_point first_stored{};
        std::int64_t stored_under = 0;  ///< the epoch of its lane, the last time
        bool is_parked = false;         ///< or has been
        bool is_discarded = false;
        int refused_alone = 0;
        int handed_over = 0;
        bool is_over() const { return stored || is_parked; }
    };
    struct Key {
        std::vector<std::int64_t> events;  ///< in the order of their commits, which is that of ids
        std::optional<std::int64_t> held_by;  ///< the first that was ever parked and holds it
        bool was_parked = false;              ///< one that does not hold it, or does
        bool was_paused = false;
    };

    void on_commit(const Row& row);
    void on_store(const Stored& record);
    void on_park(EventSeq id, const Postgres::DeadLetter& letter);
    void on_move(const outbox::LaneProgress& to);
    void on_pause(const outbox::Pause& pause, bool begins);
    bool was_paused(const Event& event) const;
    void judge_pause(const Event& event) const;
    void on_give(const outbox::Gift& gift);
    void on_claim(LaneId lane);
    /// Of a lane that is its sender's.
    void judge(const Kafka::Sender& sender, const char* what);
    /// Its turn: all earlier ones of its key (and topic) are over.
    void take_turn(const Event& event, const char* what);
    /// The same of its record, for the first time: earlier ones are stored, or discarded.
    void judge_order(const Event& event);
    bool is_too_large(const Event& event);
    bool is_skipped(const Event& event) const;
    /// It may have been parked, and that may not be written yet.
    bool may_be_passed(const Event& event, bool has_letter);
    bool is_stranger(const Event& event) const;

    Simulation& world_;
    Postgres& postgres_;
    Kafka& kafka_;
    std::map<std::int64_t, Event> events_;
    std::map<std::string, Key> keys_;
    std::size_t over_ = 0;
    std::optional<Clock::time_point> last_incident_;
    bool is_punctual_ = false;
    bool has_operators_ = false;
    bool has_pauses_ = false;
    relay::SkipPolicy skip_;
    std::vector<std::pair<outbox::Pause, Clock::time_point>> pauses_;
    std::set<std::string> were_paused_;  ///< topics
    Clock::duration longest_wait_{};
    Clock::duration longest_hand_over_{};
    std::map<LaneId, Clock::time_point> given_;  ///< lanes that nobody has claimed since
    Totals totals_;
};

}  // namespace txstream::sim
