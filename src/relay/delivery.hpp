#pragma once

#include "outbox/event.hpp"
#include "outbox/record_format.hpp"
#include "relay/batch_log.hpp"
#include "relay/blockages.hpp"
#include "relay/delays.hpp"
#include "relay/delivery_gate.hpp"
#include "relay/lane_machine.hpp"
#include "relay/load.hpp"
#include "relay/metrics.hpp"
#include "relay/ports.hpp"
#include "relay/send_spans.hpp"
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
#include <vector>

namespace txstream::relay {

/// The lanes that a worker owns, with everything of them that is in flight.
///
/// Takes pages from the reader, hands their events to the publisher, takes its reports, and gives
/// complete pages to whoever moves the cursors. Never waits. Belongs to the worker's thread; wakes
/// the reader when there is room again and the keeper when there is something to acknowledge.
class Delivery {
public:
    using Clock = Deadline::Clock;

    struct Limits {
        LaneMachine::Limits lane;
        std::size_t in_flight_bytes_max = 32 * 1024 * 1024;
        /// Events that Kafka has acknowledged and the outbox has not: so many are written at once,
        /// since they come twice if we are killed. Where they cannot be written, nothing more is
        /// read from the second number on.
        std::size_t unrecorded_urgent = 1000;
        std::size_t unrecorded_max = 10000;
        std::chrono::milliseconds refused_retry_delay{1000};
        /// A lane whose next event's topic takes nothing (unknown, not authorised) waits so long,
        /// before each try.
        std::chrono::milliseconds topic_retry_delay{30000};
        /// A lane whose events cannot be parked tries again after so long, doubled each time up to
        /// the longest.
        std::chrono::milliseconds park_retry_delay{500};
        std::chrono::milliseconds park_retry_delay_max{15000};
        /// Something in flight and no acknowledgement for so long is reported as Kafka being away,
        /// long before it is a failure.
        std::chrono::milliseconds silence_max{10000};
        /// After a producer gave up, the reports that say which record was to blame may be queued.
        std::chrono::milliseconds reports_grace{200};
    };
    struct Dependencies {
        asio::any_io_executor executor;
        std::function<Result<std::unique_ptr<Publisher>>(asio::any_io_executor, PublisherEvents)>
            publisher;
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
        std::uint64_t seed = 0;  ///< of what is random: the jitter of pauses
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

        bool is_in_same_window(const PageGroup& other) const {
            return cursor == other.cursor && target == other.target;
        }
        /// The lane is being paged from here on.
        bool is_place_of(const LaneMachine& lane) const {
            return lane.is_paging() && after == lane.read_up_to() && cursor == lane.cursor() &&
                   target == lane.target();
        }
    };
    /// The next lanes with a page to read, each group in its turn. Lanes that must wait, for room
    /// or for their topic, fall behind the others and are a group of their own until they join
    /// them.
    std::optional<PageGroup> group_to_page();
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
               unrecorded() < limits_.unrecorded_max;
    }
    std::size_t events_in_flight() const noexcept { return in_flight_events_; }
    /// No page is left that is not acknowledged.
    bool is_idle() const;

    // Publishing.

    /// Hands over what may be handed over.
    void pump();
    /// Counts a failure that is not an event's, and pauses.
    void fail(std::string_view kind, const Error& error);
    /// The publisher must be ended before anything else is read: its order is broken, or a lane in
    /// it is lost.
    bool needs_restart() const noexcept { return needs_restart_; }
    /// Not before this: other reports may be on their way, and a refused event is not tried in a
    /// hot loop.
    Clock::time_point restart_at() const noexcept { return restart_at_; }
    /// When the oldest record in flight has waited too long (Publisher::waiting_max).
    std::optional<Clock::time_point> stale_at() const;
    /// Takes back what is in flight, to be published again with a new timestamp.
    void take_back_stale();
    /// Ends the publisher and sends all lanes back to their last acknowledged page. No
    /// acknowledgement may be under way.
    void restart();
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
    std::size_t unrecorded() const;
    /// True when nothing can be read before something is acknowledged, or when too much would come
    /// twice if we were killed.
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
    struct Page;
    struct Slot {
        Page* page;
        std::uint32_t index;
        bool is_handed_over = false;
    };
    struct Lane {
        LaneMachine machine;
        Clock::time_point publish_until;
        Clock::time_point held_until{};     ///< its topic takes nothing
        std::string held_topic{};           ///< since its last refusal; empty: none
        bool is_to_cut = false;             ///< at the first event that was not handed over
        Clock::time_point put_off_until{};  ///< its acknowledgement was refused
        unsigned put_off = 0;               ///< times in a row
        std::optional<Clock::time_point> busy_since{};  ///< counted up to here
        std::deque<std::unique_ptr<Page>> pages{};
        LaneDelay worker_delay{};  ///< it shares with the worker's other lanes
        LaneDelay own_delay{};
        EarlierTries tries{};

        void begin_own_delay(Blockage blockage) { own_delay.begin(header_word(blockage)); }
        DelayReason late(const Page& page) const;
    };

    Result<> ensure_publisher();
    void tell_held_lanes();
    void update_delay();
    std::optional<Mark> mark_of(const Lane& lane, const Page& page, EventSeq id) const;
    /// The publisher has to be ended, and what is in flight sent again for this reason; the first
    /// that is known counts.
    void must_restart(DelayReason reason);
    Lane* lane_with_suspect();
    void pump(Lane& lane);
    bool hand_over(Lane& lane, Page& page);
    bool publish_next(Lane& lane, Page& page);
    /// The next event was admitted and can never be taken.
    void park_next(Lane& lane, Page& page, std::string_view error_class, std::string error);
    bool can_acknowledge(const Lane& lane) const;
    void on_reports(std::span<const Report> reports);
    void on_acknowledged(Lane& lane, Page& page, std::size_t index, const Report& report);
    void on_refused(Lane& lane, Page& page, std::size_t index, const Report& report);
    void on_batch_refused(const Page& page, std::size_t index, const Report& report);
    void on_topic_refused(Lane& lane, Page& page, std::size_t index, std::string_view error);
    void hold(Lane& lane, const WireEvent& event, std::string_view error);
    void cut(Lane& lane, Page& page, std::size_t from);
    void settled(Page& page);
    void completed(Page& page);
    /// Empty error: Kafka has what was handed over of it.
    void trace(Page& page, std::string_view error);
    void count_parked(const LaneMachine::Acknowledgement& acknowledgement, const Page& page);
    void count_retried(unsigned retry);
    void tell_published(const std::optional<BatchLog::Line>& line) const;
    void count_resent(const Lane& lane);
    /// The pages in hand have changed, or time has passed.
    void tell_load();
    static std::vector<outbox::RecordRange> records_of(const Lane& lane, std::size_t pages);

    Dependencies dependencies_;
    Limits limits_;
    std::mt19937_64 random_;
    RecordHeaders headers_;
    SendSpans spans_;
    std::string send_error_;  ///< the first since the last restart, by Kafka's name
    WorkerBlockages blockages_;
    std::map<LaneId, Lane> lanes_;
    std::unique_ptr<Publisher> publisher_;  // last: ended before what its records point into
    std::size_t groups_paged_ = 0;
    std::size_t in_flight_bytes_ = 0;
    std::size_t in_flight_events_ = 0;
    std::size_t acknowledging_ = 0;  ///< lanes
    bool is_alone_ = false;          ///< what is in flight is a suspect
    bool needs_restart_ = false;
    DelayReason restart_reason_;
    DelayReason delay_;  ///< of all lanes, at the last look
    BatchLog batch_log_;
    bool is_closed_ = false;
    /// The producer gave up for the sake of a record whose report is on its way.
    std::optional<Error> unexplained_;
    std::uint64_t lives_ = 0;
    std::uint64_t doubts_ = 0;
    std::uint64_t trusted_ = 0;  ///< of the doubts, those that are settled
    bool blocked_ = false;       ///< a page waits to be handed over
    Clock::time_point restart_at_{};
};

}  // namespace txstream::relay
