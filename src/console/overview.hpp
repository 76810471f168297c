#pragma once

#include "console/severity.hpp"
#include "outbox/history.hpp"
#include "outbox/members.hpp"
#include "outbox/situation.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Whether it is delivering, and if not, why: from what the tables and Kafka say to sentences.
/// Pure; overview_api.hpp asks them.
namespace txstream::console {

using Moment = outbox::Moment;

struct Remedy {
    enum class Kind : std::uint8_t { command, sql, text };
    Kind kind = Kind::text;
    std::string text;
};
std::string_view to_string(Remedy::Kind kind);

using Params = std::map<std::string, std::string>;

/// One reason, as a sentence: what happened, what it holds up, and what is safe.
struct Cause {
    std::string code{};
    Severity severity = Severity::info;
    std::optional<Moment> since{};
    Params params{};  ///< what the sentence names, for pages in other languages
    std::string text{};
    std::string detail{};  ///< the error in others' words, which no sentence holds; empty: none
    std::optional<Remedy> remedy{};
    std::optional<std::string> link{};  ///< a path of the page
};

/// One thing that keeps a relay from delivering, as it wrote it down.
struct Blocked {
    struct Lane {
        LaneId lane;
        std::string topic;  ///< the event's own; may be empty
    };
    std::string code;
    std::optional<Moment> since;
    std::string detail;
    std::vector<Lane> lanes;  ///< that stand still, where only some do
};
/// Of txstream.members.blockages. What cannot be read is left out.
std::vector<Blocked> read_blocked(const std::string& json);
/// A topic that is not on the fast path, as a relay wrote it down; of several, all together.
struct SlowTopic {
    std::string name{};
    bool is_closed = false;  ///< it accepts no record; else it is on the careful path
    std::string error{};
    std::optional<Moment> since{};
    std::optional<Moment> until{};  ///< on the fast path again; closed: its events are parked
    std::uint64_t events = 0;       ///< that wait for it
    std::uint64_t keys = 0;
    std::vector<std::string> relays{};
    std::optional<Moment> next_try{};  ///< of a closed one; nothing: it is paused
};
/// Of txstream.members.topics of those that live, closed ones first.
std::vector<SlowTopic> slow_topics(const std::vector<outbox::SeenMember>& members);
/// The names of settings in which the members differ.
std::vector<std::string> differing_settings(const std::vector<const outbox::Member*>& members);

/// What Kafka says to this console.
struct KafkaView {
    enum class State : std::uint8_t { unknown, ok, away };
    State state = State::unknown;
    std::string error;  ///< where it is away
    struct Topic {
        bool exists = false;
        int partitions = 0;
        int replication_factor = 0;
    };
    std::map<std::string, Topic> topics;  ///< those that were asked for
};

/// What PostgreSQL says to this console.
struct DatabaseView {
    enum class State : std::uint8_t {
        ok,
        away,       ///< no session, or no answer
        read_only,  ///< only a server that takes no writes answers
        no_outbox,  ///< the schema txstream, or a table of it, is missing
        denied      ///< our login lacks rights
    };
    State state = State::away;
    std::string error;
    std::optional<Moment> since;  ///< since when it is not ok
    std::string user;             ///< of our login, where it lacks rights
    /// Why the schema is not that of this program; empty: it is.
    std::string schema_error;
    bool is_schema_older = true;  ///< and not a newer or a changed one
    /// Some table could not be read within the time: what it would have said stays as it was. The
    /// locks are empty where they were gone when we looked.
    bool is_locked = false;
    std::vector<outbox::TableLock> locks;
};

/// All that the sentences are made of. What PostgreSQL said last stays when it is away.
struct OverviewState {
    Moment now;  ///< by the server's clock where it answered
    DatabaseView database;
    KafkaView kafka;
    std::string topic;                ///< KAFKA_TOPIC_EVENTS of this console
    std::string brokers;              ///< KAFKA_BROKERS of this console
    std::optional<Moment> looked_at;  ///< when PostgreSQL last answered what follows
    outbox::Situation situation;
    std::vector<outbox::SeenMember> members;
    std::vector<outbox::HistorySlot> history;  ///< the newest slots, the newest first
    outbox::Parked parked;
    /// By code of a blockage: what waits because of it, where it was counted.
    std::map<std::string, outbox::Waiting> waiting;
    std::optional<outbox::Waiting> waiting_in_all;
};

/// Worst first; never empty.
std::vector<Cause> causes_of(const OverviewState& state);

/// Figures of the moment. Nothing where they are not known.
struct Numbers {
    std::optional<std::uint64_t> pending;
    bool pending_is_exact = true;
    std::optional<double> oldest_s;
    std::optional<double> published_per_s;
    std::optional<double> appended_per_s;
};
Numbers numbers_of(const OverviewState& state);

struct Dot {
    std::string name;
    Severity severity = Severity::ok;
    std::string text;
    Params params;
};
std::vector<Dot> dots_of(const OverviewState& state);

struct CheckItem {
    std::string code;
    bool is_done = false;
    std::string text;
    std::optional<Remedy> remedy;
};
/// Empty when all is done.
std::vector<CheckItem> checklist_of(const OverviewState& state);

struct Incident {
    std::string code{};
    Severity severity = Severity::warn;
    Moment began_at{};
    std::optional<Moment> ended_at{};
    std::string text{};
    Params params{};
};
/// The newest first, at most `limit`. `last` is the newest slot there is: an incident that goes on
/// in it has no end, unless nothing was written for long.
std::vector<Incident> incidents_of(
    const std::vector<outbox::HistoryChange>& changes, std::int64_t lanes, std::size_t limit
);

/// "3 min", "2 h 5 min": for sentences.
std::string spoken(std::chrono::milliseconds time);
/// "12,431"
std::string grouped(std::uint64_t number);

}  // namespace txstream::console
