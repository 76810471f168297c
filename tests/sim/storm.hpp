#pragma once

#include "runtime/task_group.hpp"
#include "tests/sim/checks.hpp"
#include "tests/sim/kafka.hpp"
#include "tests/sim/postgres.hpp"
#include "tests/sim/simulation.hpp"

#include <memory>
#include <string>
#include <vector>

namespace txstream::sim {

inline constexpr const char* kTopic = "t";
inline constexpr std::size_t kLanes = 6;
/// More is left out of a page and never sent.
inline constexpr std::size_t kEventBytesMax = 600;
/// Of a record's value, what is around the payload.
inline constexpr std::size_t kEnvelopeBytes = 250;

/// One world from a seed: some relays, writers, and trouble of the kinds that the seed chooses;
/// then peace, in which everything has to come to its end.
class Storm {
public:
    /// Once nothing goes wrong any more everything is delivered within this (a lease, a breaker, a
    /// reconnection, the longest pauses).
    static constexpr Clock::duration kProgressMax = 20s;
    /// And then the lanes are shared out within this: leases of the dead, hand-overs, and what
    /// could not be handed over at the first try.
    static constexpr Clock::duration kBalanceMax = 6s;
    /// Of events that do not hold their keys.
    static constexpr const char* kSkippedType = "Skipped";
    static constexpr int kRelaysMax = 4;  ///< that live at the same time, in peace

    explicit Storm(Simulation::Options options);
    ~Storm();
    Storm(const Storm&) = delete;
    Storm& operator=(const Storm&) = delete;

    void run();
    const Simulation& world() const { return world_; }
    const Checks& checks() const { return checks_; }
    int producers() const { return kafka_.producers; }

private:
    class Relay;
    /// Which kinds of trouble there are.
    struct Kinds {
        bool database = false;
        bool brokers = false;
        bool processes = false;
        bool refusals = false;
        bool topics = false;
        bool usual_topic = false;  ///< among them the one that most events go to
        bool operators = false;    ///< who decide about dead letters
        bool pauses = false;
        bool skips = false;  ///< some events do not hold their keys
    };
    static Kinds kinds_of(std::uint64_t seed);

    Relay& start_relay();
    Relay* any_relay();
    void stop_relays();
    Task<> write();
    Task<> transaction();
    Row make_row(std::string key);
    std::vector<EventSeq> undecided() const;
    Task<> operate();
    Task<> decide_all();
    Task<> pause_and_resume();
    Task<> pause_without_kafka();
    outbox::Pause make_pause();
    Task<> trouble();
    void strike();
    void strike_database();
    void strike_brokers();
    void strike_processes();
    void strike_topics();
    void strike_both();
    /// A relay comes, or one goes in peace: neither is anything that goes wrong.
    void change_members();
    /// All workers that live have as many lanes, within one.
    bool is_balanced() const;
    void pause(Relay& relay);
    void heal();

    Simulation world_;
    Kinds kinds_;
    Postgres postgres_;
    Kafka kafka_;
    Checks checks_;
    relay::SkipPolicy skip_;
    Process& outside_;
    std::map<std::string, std::int64_t> locked_;  ///< keys, each by one transaction
    std::int64_t keys_ = 10;                      ///< that are written to
    std::int64_t side_share_ = 20;  ///< one of so many events goes to a topic of its own
    std::int64_t transactions_ = 0;
    bool is_quiet_ = false;  ///< nobody commits
    bool is_over_ = false;   ///< nobody decides any more
    int relays_started_ = 0;
    std::vector<std::unique_ptr<Relay>> relays_;
    std::unique_ptr<runtime::TaskGroup> people_;
};

}  // namespace txstream::sim
