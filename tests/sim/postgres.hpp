#pragma once

#include "relay/ports.hpp"
#include "tests/sim/simulation.hpp"
#include "tests/support/fake_rows.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace txstream::sim {

/// A row of the outbox.
struct Row {
    std::int64_t id = 0;
    std::int64_t xid = 0;
    std::string key;
    std::string topic;    ///< empty: the configured one
    std::string payload;  ///< JSON
    std::string type{};   ///< empty: any
};

/// PostgreSQL with the tables of the outbox: transactions, snapshots, what a crash forgets, and
/// what each statement of the relay does to the tables.
///
/// What is committed is in the log and in the tables; only what was flushed survives a crash, and
/// of the rest what happened to be written, up to some commit. Ids of transactions that left
/// nothing in the log are given again.
class Postgres {
public:
    /// Of one owner: all its lanes are kept and lost with it.
    struct Lease {
        std::int64_t number = 0;
        Clock::time_point ends{};
        outbox::Want want{};
    };
    struct Lane {
        std::int64_t lease = 0;
        std::int64_t epoch = 0;
        outbox::Snapshot cursor;
        std::optional<outbox::Snapshot> target;
        EventSeq last;
    };
    struct DeadLetter {
        std::string key;
        int attempts = 0;
        std::string error_class;
        enum class State : std::uint8_t { parked, replaying, replayed, discarded };
        State state = State::parked;
        bool is_decided = false;
        bool waits = false;  ///< for its topic
        bool holds = true;   ///< its key

        bool is_open() const { return state == State::parked || state == State::replaying; }
        /// It has a fault of its own, and nobody has decided about it.
        bool stops() const { return state == State::parked && error_class != "held"; }
    };
    struct Tables {
        std::map<std::string, Lease> leases;  ///< by owner
        std::vector<Lane> lanes;
        std::map<EventSeq, DeadLetter> dead_letters;
        std::vector<outbox::Pause> pauses;
    };
    struct Limits {
        Clock::duration lock_timeout = 100ms;
        Clock::duration travel_max = 300us;
        Clock::duration execution_max = 700us;
    };
    /// Probabilities for each statement; all 0 when nothing goes wrong.
    struct Faults {
        double lost_before = 0;  ///< the connection, before it takes effect
        double lost_after = 0;
        double times_out = 0;  ///< the server ends it; the session stays
        double slow = 0;       ///< longer than anybody waits
        Clock::duration slow_max = 1500ms;
        double late = 0;  ///< the answer is on its way for long, whatever becomes of the server
        Clock::duration late_max = 240ms;
        /// For each session when all end: its client hears nothing of it, and of nothing else.
        double silent = 0;
    };

    /// A session, as the server knows it.
    class Client {
    public:
        virtual ~Client() = default;
        virtual void server_ended() = 0;
        virtual const Process& process() const = 0;
    };

    Postgres(Simulation& world, std::size_t lanes);

    void enter(Client& client) { clients_.push_back(&client); }
    void leave(Client& client) { std::erase(clients_, &client); }
    /// Nothing waits for the server there any more.
    void forget(const Process& process);

    // --- writers

    std::int64_t begin();
    Row insert(std::int64_t xid, Row row);
    /// False: the server has crashed since it began, and it is gone.
    bool commit(std::int64_t xid);
    void roll_back(std::int64_t xid);
    /// Survives a crash from now on.
    bool prepare(std::int64_t xid);
    /// An id that its transaction leaves no trace of.
    void burn_id() { roll_back(begin()); }
    std::function<void(const Row&)> on_commit;
    std::function<void(EventSeq, const DeadLetter&)> on_park;
    std::function<void(const outbox::LaneProgress&)> on_move;
    /// Before it has another owner.
    std::function<void(const outbox::Gift&)> on_give;
    std::function<void(LaneId)> on_claim;
    /// Something went wrong for which records may have to be sent again.
    std::function<void(std::string_view what)> on_incident;

    // --- operators

    /// Of a letter that is parked.
    void decide(EventSeq id, bool discards);
    std::function<void(EventSeq)> on_discard;
    void pause(outbox::Pause pause);
    std::function<void(const outbox::Pause&, bool begins)> on_pause;
    /// The one that is first in the table.
    void resume();

    // --- trouble

    /// All sessions end, and new ones are refused until then.
    void crash(Clock::time_point back);
    /// The same, and nothing is forgotten.
    void end_sessions(Clock::time_point back);
    /// Only standbys answer until then.
    void demote(Clock::time_point back);
    /// Statements that write wait for a lock until then.
    void lock(Clock::time_point until) { locked_until_ = until; }
    /// Of one process alone.
    void cut_off(const Process& process, Clock::time_point until) { cut_off_[&process] = until; }
    void heal();

    // --- what sessions see

    std::uint64_t life() const noexcept { return life_; }
    bool is_up() const { return world_.now() >= back_; }
    bool is_standby() const { return world_.now() < promoted_; }
    bool is_reachable(const Process& process) const;
    Clock::time_point unlocked() const { return std::max(world_.now(), locked_until_); }

    outbox::Snapshot snapshot() const;
    std::int16_t lane_of(std::string_view key) const;
    /// Not below the id of any event that a snapshot sees.
    EventSeq highest_id() const;
    /// Not above the id of any event of the window, in whatever lane.
    std::optional<EventSeq> first_id(const outbox::Snapshot& cursor, const outbox::Snapshot& target)
        const;
    /// In the order of (id, xid).
    std::vector<tests::FakeEvent> window(
        const std::vector<LaneId>& lanes,
        const outbox::Snapshot& cursor,
        const outbox::Snapshot& target
    ) const;
    /// An owner's session, as far as statements tell of it: whose, and under which lease (0: none
    /// that this session knows of).
    struct Owner {
        std::string name;
        std::int64_t lease = 0;
        outbox::Want want{};
    };
    outbox::Shares shares(const Owner& owner) const;
    /// The number of the lease that an owner of this name has; 0: none.
    std::int64_t lease_of(const std::string& owner) const;
    /// Prolongs the owner's lease, or replaces the one that was seen. Returns its number; 0: there
    /// is another one.
    std::int64_t enlist(const Owner& owner, std::int64_t seen, std::chrono::milliseconds lease);
    std::vector<LaneId> give(const Owner& owner, const std::vector<outbox::Gift>& gifts);
    /// Nothing where its lease is another one by now.
    std::vector<outbox::ClaimedLane> claim(
        const Owner& owner, const std::vector<LaneId>& owned, std::size_t limit
    );
    std::vector<LaneId> renew(
        const Owner& owner, const std::vector<LaneId>& lanes, std::chrono::milliseconds lease
    );
    std::vector<LaneId> advance(const Owner& owner, const std::vector<outbox::LaneProgress>& lanes);
    bool park(
        const Owner& owner,
        const outbox::LaneProgress& lane,
        const std::vector<outbox::ParkedEvent>& parked
    );
    /// The keys with decisions, and what only asked to be noticed is.
    outbox::Decisions decisions(
        const Owner& owner, const std::vector<LaneId>& lanes, std::size_t limit
    );
    outbox::Letters letters(
        const std::vector<outbox::LaneKey>& keys, const outbox::LetterLimit& limit
    ) const;
    std::vector<std::string> revive(
        const Owner& owner, const std::vector<LaneId>& lanes, const outbox::Revival& which
    );
    std::vector<LaneId> settle(
        const Owner& owner,
        const std::vector<LaneId>& lanes,
        const std::vector<outbox::SettledLetter>& letters
    );
    void release(const std::string& owner);
    /// Who has the lane, under a lease that has not ended; empty: nobody.
    std::string owner_of(LaneId lane) const;

    const Tables& tables() const noexcept { return tables_; }
    const std::map<std::int64_t, Row>& committed() const noexcept { return committed_; }
    Simulation& world() noexcept { return world_; }

    Faults faults;
    Limits limits;

private:
    tests::FakeEvent event_of(const Row& row) const;
    enum class Durability : std::uint8_t { flushed, written };
    void end_lives();
    void write(Durability durability, std::function<void(Tables&)> change);
    void flush();
    bool is_held(const Lane& lane, const std::map<std::string, Lease>& leases) const;
    /// Those of the lanes that are its.
    std::vector<LaneId> ours(const Owner& owner, const std::vector<LaneId>& lanes) const;
    bool is_current(const Owner& owner, const outbox::LaneProgress& progress) const;

    Simulation& world_;
    Tables tables_;
    Tables disk_;
    /// In the log, perhaps not on disk, by transaction.
    std::vector<std::pair<std::int64_t, std::function<void(Tables&)>>> unflushed_;
    std::map<std::int64_t, Row> committed_;
    std::map<std::int64_t, std::vector<Row>> running_;  ///< transactions with what they wrote
    std::set<std::int64_t> prepared_;
    std::int64_t next_xid_ = 10;
    std::int64_t ended_xid_ = 9;    ///< the newest that ended
    std::int64_t written_xid_ = 9;  ///< the newest in the log
    std::int64_t flushed_xid_ = 9;
    std::int64_t next_id_ = 1;
    std::int64_t next_lease_ = 1;
    std::uint64_t life_ = 1;
    std::vector<Client*> clients_;  ///< in the order in which they came
    Clock::time_point back_{};
    Clock::time_point promoted_{};
    Clock::time_point locked_until_{};
    std::map<const Process*, Clock::time_point> cut_off_;
};

std::unique_ptr<relay::EventSource> make_source(Postgres& postgres, Process& process);
std::unique_ptr<relay::LaneKeeper> make_keeper(
    Postgres& postgres, Process& process, std::string owner
);

}  // namespace txstream::sim
