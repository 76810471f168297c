#pragma once

#include "outbox/event.hpp"
#include "outbox/record_headers.hpp"
#include "outbox/wire_format.hpp"
#include "relay/batch_log.hpp"
#include "relay/blockages.hpp"
#include "relay/delays.hpp"
#include "relay/delivery_gate.hpp"
#include "relay/lane_machine.hpp"
#include "relay/load.hpp"
#include "relay/metrics.hpp"
#include "relay/paused.hpp"
#include "relay/ports.hpp"
#include "relay/refusal_log.hpp"
#include "relay/send_spans.hpp"
#include "relay/skip_policy.hpp"
#include "relay/topic_paths.hpp"
#include "runtime/wakeup.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace txstream::relay {

/// The lanes that a worker owns, with everything of them that is in flight.
///
/// Takes pages from the reader, hands their events to the publishers, takes their reports, and
/// gives complete pages to whoever moves the cursors. Never waits. Belongs to the worker's thread;
/// wakes the reader when there is room again and the keeper when there is something to acknowledge.
///
/// Each event goes one of two ways, by its topic (TopicPaths). The fast publisher gets the events
/// of a lane in the order in which they were read; when it ends for a refusal, what it had not
/// delivered goes again through the next one, and nothing else does. Everything that is not on the
/// fast path is set aside, in queues by key: of each queue the first event alone may go, through
/// the careful publisher. So a refusal costs its key. Two rules keep the order of a key: an event
/// goes the fast way only if no earlier one of its key is aside; it goes the careful way, or is
/// parked for its own sake, only if no earlier event of its lane, and no other of its key, is on
/// the fast one.
class Delivery {
public:
    using Clock = Deadline::Clock;

    struct Limits {
        LaneMachine::Limits lane;
        /// What pages may take in memory before nothing more is read.
        std::size_t in_flight_bytes_max = 32 * 1024 * 1024;
        /// Events that Kafka has acknowledged and the outbox has not: so many are written at once,
        /// since they come twice if we are killed. Where they cannot be written, nothing more is
        /// read from the second number on.
        std::size_t unrecorded_urgent = 500;
        std::size_t unrecorded_max = 10000;
        /// Events on the fast path that Kafka or the outbox does not know of: no more are handed
        /// over, since all of them may come twice.
        std::size_t exposed_max = 2000;
        /// An event that was refused alone, for a reason that may pass, is tried so often at most,
        /// with so long in between: WORKER_MAX_RETRIES and the first try.
        int attempts_max = 4;
        std::chrono::milliseconds refused_retry_delay{1000};
        TopicPaths::Limits topics;
        /// Events that wait for their topics are parked before its patience ends when they take
        /// more than this part of `in_flight_bytes_max`: others need the room.
        std::size_t waiting_bytes_part = 4;
        /// Between two looks at how much that is: each is at every event that waits.
        std::chrono::milliseconds waiting_bytes_pause{50};
        /// A lane whose events cannot be parked tries again after so long, doubled each time up to
        /// the longest.
        std::chrono::milliseconds park_retry_delay{500};
        std::chrono::milliseconds park_retry_delay_max{15000};
        /// Something in flight and no acknowledgement for so long is reported as Kafka being away,
        /// long before it is a failure.
        std::chrono::milliseconds silence_max{10000};
        /// Between two looks at what waits for topics: each is at every key that waits.
        std::chrono::milliseconds topics_pause{500};
        /// After a producer gave up, its last reports may be queued: they say which record was to
        /// blame, and what need not be sent again.
        std::chrono::milliseconds reports_grace{200};
    };
    struct Dependencies {
        asio::any_io_executor executor;
        Ports::MakePublisher publisher;
        DeliveryGate& gate;
        const Metrics& metrics;
        runtime::Wakeup& reader;
        runtime::Wakeup& keeper;
        std::string topic;  ///< for events without their own
        Blockages& blockages;
        std::size_t worker = 0;  ///< its number
        /// No broker can be reached while nothing is under way; may be empty. Called on the
        /// worker's thread.
        std::function<void()> kafka_doubted = nullptr;
        /// What kept events from being delivered until there were workers; may be empty.
        DelayReason delayed_before = {};
        Load* load = nullptr;  ///< kept up to date; may be none
        SendTracing tracing = {};
        std::uint64_t seed = 0;          ///< of what is random: the jitter of pauses
        RefusalLog* refusals = nullptr;  ///< of all workers; may be none
        /// What else leaves this process of a lane must not leave any more; may be empty.
        std::function<void(LaneId)> lane_lost = nullptr;
        const outbox::WireFormat* format = &outbox::txstream_format();
        SkipPolicy skip = {};
        bool copies = false;  ///< what is parked for its own sake (LetterCopier)
    };

    Delivery(Dependencies dependencies, Limits limits);
    ~Delivery();
    Delivery(const Delivery&) = delete;
    Delivery& operator=(const Delivery&) = delete;

    /// Brings up to date what of it keeps events from being delivered; called now and then.
    void look(Clock::time_point now);
    /// For the reader and the keeper, each with a part of its own above 0.
    WorkerBlockages blockages(std::size_t part) const;

    // Owning lanes.

    void add_lane(outbox::ClaimedLane claimed, Clock::time_point publish_until);
    /// The leases of these lanes were prolonged; the others that we thought ours are lost.
    void renewed(const std::vector<LaneId>& lanes, Clock::time_point publish_until);
    /// Forgets the lane. What of it is in flight cannot be called back but by ending the publisher.
    void lose(LaneId lane);
    void lose_all();
    /// Loses the lanes that may not be published any more; returns how many.
    std::size_t lose_expired(Clock::time_point now);
    std::optional<Clock::time_point> first_expiry() const;
    std::vector<LaneId> lanes() const;
    std::size_t lane_count() const noexcept { return lanes_.size(); }
    bool owns(LaneId lane) const { return lanes_.contains(lane); }

    // Handing a lane over: nothing more is read of it, what was read comes to its end and is
    // written, and then it is forgotten before anybody else can have it.

    void begin_leaving(LaneId lane);
    void stay(LaneId lane);
    bool is_leaving(LaneId lane) const {
        const auto found = lanes_.find(lane);
        return found != lanes_.end() && found->second.is_leaving;
    }
    /// Nothing of it is in flight, and all that Kafka has of it is written.
    bool has_come_to_its_end(LaneId lane) const;
    /// Events of it wait for a topic, a replay or an operator, and nobody knows for how long.
    bool is_held_up(LaneId lane) const;
    /// The lanes, those first that are soonest at their end: without events that wait for
    /// something else, then with few pages.
    std::vector<LaneId> lanes_by_ease() const;

    /// A record of the lane may be handed over.
    bool may_publish(LaneId lane, Clock::time_point now) const {
        const auto found = lanes_.find(lane);
        return !is_closed_ && found != lanes_.end() && now < found->second.publish_until;
    }
    /// As LaneMachine::hold(): what waits of the key is parked.
    void hold(LaneId lane, const std::string& key);
    /// What operators have paused, all of it. Not in a publisher's own call.
    void pause(std::vector<outbox::Pause> pauses, Clock::time_point now);
    const Paused& paused() const noexcept { return paused_; }
    /// Keys of lanes have been released: what waited for it moves.
    void keys_changed();

    // Trust.
    //
    // A crash of the server takes back transaction ids that were given but not written to its disk,
    // and gives them again: a snapshot from before knows them already, and a cursor made of it
    // passes over their events. The table's cursors are safe, for their own row, if it survives, is
    // written later than all that they know. Ours in memory are as good as the session under which
    // the lanes were claimed: no session outlives a crash. So when that one is lost, all lanes are;
    // and when the reader has lost its own, nothing is read until the older one was heard of again.

    /// The reader has a new session, perhaps of a server that has crashed in between.
    void doubt();
    /// The keeper's session answered a statement that was begun after so many doubts.
    void trust(std::uint64_t doubts);
    std::uint64_t doubts() const noexcept { return doubts_; }
    bool is_in_doubt() const noexcept { return trusted_ != doubts_; }
    /// How often all lanes were lost: an answer that was asked for in an earlier life is of no use.
    std::uint64_t lives() const noexcept { return lives_; }

    // Reading. While in doubt there is nothing to read.

    struct PollGroup {
        outbox::Snapshot cursor;
        std::vector<LaneId> lanes;
    };
    /// Caught-up lanes with room for a page, grouped by their cursor (the key is its text).
    std::map<std::string, PollGroup> lanes_to_poll();
    /// Lanes whose window is being paged from the same place on.
    struct PageGroup {
        outbox::Snapshot cursor;
        outbox::Snapshot target;
        EventSeq after;
        std::vector<LaneId> lanes;
        /// Where other lanes of ours are in the same window: these join them there.
        std::optional<EventSeq> joins_at;
        /// Lanes that could be read are further back in the same window: these go slowly, so that
        /// they meet.
        bool is_ahead = false;

        bool is_in_same_window(const PageGroup& other) const {
            return cursor == other.cursor && target == other.target;
        }
        /// The lane is being paged from here on.
        bool is_place_of(const LaneMachine& lane) const {
            return lane.is_paging() && after == lane.read_up_to() && cursor == lane.cursor() &&
                   target == lane.target();
        }
    };
    /// The next lanes with a page to read. Lanes that must wait, for room or for their topic, fall
    /// behind the others and are a group of their own until they join them. What two groups read
    /// the server reads twice: of four pages three are for the groups that are furthest back in
    /// their windows, each in its turn.
    std::optional<PageGroup> group_to_page();
    /// The target of a window that lanes of ours are being paged through from this cursor on.
    std::optional<outbox::Snapshot> target_from(const outbox::Snapshot& cursor) const;
    LaneMachine& machine(LaneId lane);
    /// These events of one lane were read, its window up to `end`; pump() hands them over.
    void add_page(
        LaneId lane,
        const outbox::Events& events,
        std::span<const std::uint32_t> which,
        const outbox::Snapshot& target,
        EventSeq end,
        bool ends_window
    );
    bool has_room() const {
        return in_flight_bytes_ < limits_.in_flight_bytes_max &&
               unrecorded_ < limits_.unrecorded_max;
    }
    std::size_t events_in_flight() const noexcept { return in_flight(); }
    std::size_t bytes_aside() const noexcept { return aside_bytes_; }
    /// No page is left that is not acknowledged.
    bool is_idle() const;

    // Publishing.

    /// Hands over what may be handed over.
    void pump();
    const TopicPaths& topics() const noexcept { return topics_; }
    /// Counts a failure that is not an event's, and pauses.
    void fail(std::string_view kind, const Error& error);
    /// The fast publisher must be ended: its order is broken, or a lane in it is lost.
    bool needs_restart() const noexcept { return needs_restart_; }
    /// Not before this: other reports may be on their way.
    Clock::time_point restart_at() const noexcept { return restart_at_; }
    /// When the oldest record in flight has waited too long (Publisher::waiting_max).
    std::optional<Clock::time_point> stale_at() const;
    /// Takes back what is in flight, to be published again with a new timestamp.
    void take_back_stale();
    /// Ends the fast publisher; what it had not delivered goes again through the next one.
    void restart();
    /// Ends the careful publisher where it cannot go on. Not in a publisher's own call.
    void replace_careful();
    /// The lanes are given back: no record leaves this process from now on, whatever is still read.
    void close();

    // Acknowledging.

    /// What is complete now, to be written in one go: of all lanes, or of those with nothing more
    /// in flight, which share one position. acknowledged(), put_off() or lose() must follow for
    /// each lane.
    std::vector<LaneMachine::Acknowledgement> take_acknowledgements(bool of_all = true);
    /// How far the lanes are acknowledged of which nothing was taken: the idle ones, or all.
    std::vector<outbox::LaneProgress> positions(bool of_all) const;
    /// Something can be taken.
    bool has_acknowledgements() const;
    /// When a lane that was put off is due.
    std::optional<Clock::time_point> acknowledgement_due() const;
    /// Events of complete pages that wait to be written.
    std::size_t unrecorded() const noexcept { return unrecorded_; }
    /// True when nothing can be read before something is acknowledged, when too much would come
    /// twice if we were killed, or when a lane waits for it that is to be handed over.
    bool is_acknowledgement_urgent() const;
    bool is_acknowledging() const noexcept { return acknowledging_ > 0; }
    void acknowledged(const LaneMachine::Acknowledgement& acknowledgement);
    /// It was not written, as is known: it can be taken again.
    void take_back(LaneId lane);
    /// The same after a refusal: its lane alone has to wait.
    void put_off(LaneId lane);
    /// Reports of Kafka's are to be expected: something is in flight, and nothing says that Kafka
    /// takes nothing.
    bool expects_reports() const;

private:
    /// Delivery, reader and keeper tell of blockages separately.
    static constexpr std::size_t kPartsOfWorker = 3;

    struct Page;
    struct Slot;
    struct KeyQueue;
    using Topic = TopicPaths::Topic;
    enum class Sent : std::uint8_t { taken, impossible, topic_refused, full, failed };
    enum class Way : std::uint8_t { fast, careful, none };
    struct Lane {
        LaneMachine machine;
        Clock::time_point publish_until;
        bool is_leaving = false;                        ///< nothing more is read
        Clock::time_point put_off_until{};              ///< its acknowledgement was refused
        unsigned put_off = 0;                           ///< times in a row
        std::optional<Clock::time_point> busy_since{};  ///< counted up to here
        std::deque<std::unique_ptr<Page>> pages{};
        std::size_t complete = 0;      ///< pages, the first ones
        std::size_t fresh = 0;         ///< pages, the last ones, with events that are fresh
        std::size_t fast = 0;          ///< events on the fast path
        std::uint64_t first_fast = 0;  ///< none in a page with a lower number is
        /// Events on the careful path.
        std::map<Topic*, std::size_t, TopicPaths::ByName> careful{};
        std::unordered_map<std::string_view, std::unique_ptr<KeyQueue>> aside{};
        /// The queues whose first event is not on its way, by its topic.
        std::map<Topic*, std::deque<KeyQueue*>, TopicPaths::ByName> heads{};
        LaneDelay worker_delay{};  ///< it shares with the worker's other lanes
        LaneDelay own_delay{};
        EarlierTries tries{};

        void begin_own_delay(Blockage blockage) { own_delay.begin(header_word(blockage)); }
        DelayReason late(const Page& page) const;
        std::size_t in_flight() const;
    };

    Result<Publisher*> publisher(Path path);
    Result<Publisher*> publisher_in_batch(Path path);
    void end_batch(Path path);
    PublisherEvents events_of(Path path);
    void tell_held_lanes();
    void tell_slow_topics(Clock::time_point now);
    void update_delay();
    std::optional<Mark> mark_of(const Lane& lane, const Slot& slot) const;
    /// The fast publisher has to be ended, and what is in flight sent again for this reason; the
    /// first that is known counts.
    void must_restart(DelayReason reason);
    /// The fast publisher takes nothing any more; what it has to report comes before its end.
    void has_given_up(const Error& error, Clock::time_point now);
    void end_careful(DelayReason reason);

    /// The time, and how far the wall clock is from it until the next look: one look at both for
    /// many records.
    Clock::time_point look_at_clocks();
    std::chrono::sys_time<std::chrono::microseconds> wall(Clock::time_point now) const;
    bool may_read();
    std::vector<PageGroup> groups_paging() const;
    Topic& topic_of(const WireEvent& event);
    Way way_of(Topic& topic, Clock::time_point now);
    std::size_t in_flight() const noexcept { return fast_in_flight_ + careful_in_flight_; }
    void pump(Lane& lane, Clock::time_point now);
    void pump_fresh(Lane& lane, Clock::time_point now);
    bool hand_over(Lane& lane, Page& page, Clock::time_point now);
    bool hand_over_next(Lane& lane, Page& page, Clock::time_point now);
    void pump_aside(Lane& lane, Clock::time_point now);
    /// Whether others of the topic may be looked at.
    bool pump_queue(Lane& lane, KeyQueue& queue, Topic& topic, Clock::time_point now);
    void pump_fast(Lane& lane, KeyQueue& queue, Clock::time_point now);
    bool pump_careful(Lane& lane, KeyQueue& queue, Topic& topic, Clock::time_point now);
    Sent send(Path path, Lane& lane, Slot& slot, Clock::time_point now);
    void handed_over(Path path, Lane& lane, Slot& slot, Clock::time_point now);
    static bool has_fast_before(Lane& lane, const Slot& slot);
    bool must_wait(Lane& lane, const Slot& slot) const;

    void set_aside(Lane& lane, Slot& slot);
    /// From the fast path: before those of its key that come later.
    void take_back(Lane& lane, Slot& slot);
    void begin_queue(Lane& lane, KeyQueue& queue);
    void leave_heads(Lane& lane, const KeyQueue& queue);
    /// The first event of its key, which is in hand, is not aside any more: it is settled, or on
    /// the fast path.
    void leave_aside(Lane& lane, KeyQueue& queue);
    void next_of_key(Lane& lane, KeyQueue& queue);
    void hold(Lane& lane, const std::string& key);
    /// What comes behind a parked one of its key.
    void park_behind(Lane& lane, KeyQueue& queue);
    /// With what waits behind it.
    void park_first(Lane& lane, KeyQueue& queue, outbox::ParkedEvent parked);
    void park(Lane& lane, Slot& slot, outbox::ParkedEvent parked);
    std::size_t bytes_waiting() const;
    std::size_t bytes_of_waiting_pages() const;
    void end_patience(Clock::time_point now);
    std::string explain(const Topic& topic, const WireEvent& event) const;

    bool can_acknowledge(const Lane& lane) const;
    void on_reports(Path path, std::span<const Report> reports);
    void on_report(Path path, const Report& report, std::size_t refused, Clock::time_point now);
    void on_acknowledged(
        Path path, Lane& lane, Slot& slot, const Report& report, Clock::time_point now
    );
    void on_refused(Path path, Lane& lane, Slot& slot, const Report& report, std::size_t refused);
    void on_topic_refused(Path path, Lane& lane, Slot& slot, std::string_view error);
    void on_retryable(Path path, Lane& lane, Slot& slot, const Report& report);
    void explained();
    void close_topic(Topic& topic, const WireEvent& event, std::string_view error);
    void off_careful_path(Slot& slot);
    /// It was not delivered: it waits at the head of its key again.
    void back_aside(Lane& lane, Slot& slot);
    void note_refusal(
        RefusalLog::Counts counts,
        const WireEvent& event,
        std::string_view error,
        const std::function<std::string()>& why,
        Clock::time_point now
    );
    void tell_refusals(const std::optional<RefusalLog::Line>& line) const;
    void settled(Lane& lane, Slot& slot);
    void completed(Page& page);
    /// What need not be sent again makes room, in the page or in all that wait.
    void make_room(Lane& lane, Page& page);
    void make_room(Lane& lane);
    /// Empty error: Kafka has what was handed over of it.
    void trace(Page& page, std::string_view error);
    void count_parked(const Page& page);
    void count_retried(unsigned retry);
    void tell_published(const std::optional<BatchLog::Line>& line) const;
    void count_resent(const Lane& lane);
    /// The pages in hand have changed, or time has passed.
    void tell_load();
    void tell_sent();
    static std::vector<outbox::RecordRange> records_of(const Lane& lane, std::size_t pages);

    Dependencies dependencies_;
    Limits limits_;
    Paused paused_;
    std::mt19937_64 random_;
    RecordHeaders headers_;
    SendSpans spans_;
    std::string send_error_;  ///< the first since the last restart, by Kafka's name
    WorkerBlockages blockages_;
    std::map<LaneId, Lane> lanes_;
    outbox::ParkedEvent impossible_;  ///< the event that send() could not send
    TopicPaths topics_;
    std::unique_ptr<Publisher> fast_;  // last: ended before what their records point into
    std::unique_ptr<Publisher> careful_;
    std::size_t rear_paged_ = 0;   ///< pages of groups that nobody is behind
    std::size_t ahead_paged_ = 0;  ///< of the others
    std::size_t rear_in_a_row_ = 0;
    std::size_t events_ = 0;      ///< of all pages
    std::size_t unrecorded_ = 0;  ///< of the pages at their lane's front that are complete
    std::size_t in_flight_bytes_ = 0;
    std::size_t aside_ = 0;  ///< events
    std::size_t aside_bytes_ = 0;
    Clock::time_point measure_at_{};
    Clock::time_point topics_told_at_{};
    std::uint64_t fast_sent_ = 0;  ///< records that are not in the metrics yet
    std::uint64_t careful_sent_ = 0;
    std::size_t fast_in_flight_ = 0;
    std::size_t careful_in_flight_ = 0;
    std::size_t acknowledging_ = 0;  ///< lanes
    bool needs_restart_ = false;
    bool must_end_careful_ = false;
    bool has_fast_batch_ = false;  ///< begun by this pump
    bool has_careful_batch_ = false;
    bool is_full_ = false;  ///< the fast publisher took no more, in this pass
    DelayReason restart_reason_;
    DelayReason delay_;  ///< of all lanes, at the last look
    BatchLog batch_log_;
    bool is_closed_ = false;
    /// The producer gave up for the sake of a record whose report is on its way.
    std::optional<Error> unexplained_;
    bool is_explained_ = false;  ///< since the last restart, by a report
    std::uint64_t lives_ = 0;
    std::uint64_t doubts_ = 0;
    std::uint64_t trusted_ = 0;  ///< of the doubts, those that are settled
    bool blocked_ = false;       ///< a page waits to be handed over
    Clock::time_point restart_at_{};
    std::chrono::microseconds wall_ahead_{};  ///< of our clock
};

}  // namespace txstream::relay
