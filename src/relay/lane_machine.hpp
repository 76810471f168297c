#pragma once

#include "outbox/lane_store.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace txstream::relay {

/// What a lane decides: which window to read, what may be published, what is parked, how far it is
/// acknowledged.
///
/// Pure: no I/O, no clock. Its owner (Delivery) reads pages, publishes records and writes
/// acknowledgements, and tells the machine what became of them. Any schedule of calls keeps these
/// promises:
///   * acknowledgements are given in order of pages, and only for pages in which each event was
///   acknowledged by Kafka
///     or is parked in that same acknowledgement;
///   * once an event of a key is parked, no later event of the key is admitted (it is parked behind
///   it);
///   * after restart() everything that was not acknowledged is read again.
///
/// A broker refuses whole batches, and says of each record in one that it was refused. So all of
/// them are suspects: the lane is read again from the last acknowledged page, and each suspect goes
/// alone. Only what is refused then counts as an attempt. That nothing of other lanes is in flight
/// beside a suspect is the owner's business.
///
/// An event whose topic takes nothing (unknown, not authorised) waits, and the lane with it: it is
/// tried alone in its lane, and cut() keeps what was published before it, so that trying again
/// sends nothing twice.
class LaneMachine {
public:
    struct Limits {
        std::size_t pages_in_flight_max = 64;
        /// Refusals of one event, each of it alone, before it is parked: WORKER_MAX_RETRIES and the
        /// first try.
        int attempts_max = 4;
    };

    LaneMachine(outbox::ClaimedLane claimed, Limits limits);

    LaneId lane() const noexcept { return lane_; }
    Epoch epoch() const noexcept { return epoch_; }

    // Reading.

    /// Up to where events have been read; a caught-up lane is polled from here.
    const outbox::Snapshot& cursor() const noexcept { return read_.cursor; }
    bool is_paging() const noexcept { return read_.target.has_value(); }
    bool is_idle() const noexcept { return pages_.empty() && !is_paging(); }
    bool has_room() const noexcept { return pages_.size() < limits_.pages_in_flight_max; }

    /// How often the lane's events were looked for: each window that begins counts, also one
    /// without events.
    std::uint64_t looks() const noexcept { return looks_; }

    /// Nothing of this lane lies between the cursor and `target`. The table may stay behind:
    /// whoever reads from there finds the same nothing.
    void skip_to(const outbox::Snapshot& target);
    /// The window up to `target` is larger than a page; it starts at `first`.
    void begin_paging(const outbox::Snapshot& target, EventSeq first);
    /// Where the next page starts; only while paging.
    const outbox::Snapshot& target() const { return *read_.target; }
    EventSeq read_up_to() const noexcept { return read_.last_id; }

    using PageNumber = std::uint64_t;
    /// A page with `events` of this lane in order of id was read, the lane's window with it up to
    /// `end`. `ends_window`: nothing is left up to `target`.
    PageNumber add_page(
        const outbox::Snapshot& target,
        EventSeq first,
        EventSeq last,
        std::size_t events,
        EventSeq end,
        bool ends_window
    );
    /// The window was read up to `end`, and nothing of this lane was there.
    void read_to(EventSeq end);
    /// The same, and nothing is left up to the target.
    void end_window();

    // Publishing, event by event in the order of the page.

    enum class Admission : std::uint8_t { publish, parked, wait };
    /// May this event be published? `wait`: ask again after the next published().
    Admission admit(PageNumber page, EventSeq id, std::string_view key);
    /// An admitted event could not be handed over; it will be asked for again.
    void withdraw(PageNumber page);
    /// Kafka acknowledged an admitted event.
    void published(PageNumber page);
    /// An admitted event can never be taken, as is known without asking the broker (too large):
    /// park it.
    void park(
        PageNumber page,
        EventSeq id,
        std::string_view key,
        std::string error_class,
        std::string error
    );
    /// The broker refused an admitted event. The owner must call restart() next.
    void refused(EventSeq id, std::string error_class, std::string error);
    /// The topic of this admitted event takes nothing. The owner calls cut() where nothing of the
    /// lane was admitted after it, else restart().
    void topic_refused(PageNumber page, EventSeq id);
    /// Forgets what was read from this event on, the last `events` of its page among it; reading
    /// goes on with it.
    void cut(PageNumber page, EventSeq id, std::size_t events);

    // Acknowledging.

    struct Acknowledgement {
        std::size_t pages;  ///< how many, from the front
        outbox::LaneProgress progress;
        std::vector<outbox::ParkedEvent> parked;
        outbox::Publication publication;
    };
    /// How far the lane is acknowledged.
    outbox::LaneProgress position() const {
        return {lane_, epoch_, done_.cursor, done_.target, done_.last_id, 0};
    }
    /// The pages that are complete and not yet being acknowledged, as one step; nothing if there
    /// are none. At most one acknowledgement is under way; pages with parked events come alone.
    std::optional<Acknowledgement> next_acknowledgement();
    void acknowledged();
    /// It was not written, as is known: its pages are complete, and not acknowledged, as before.
    void not_acknowledged() noexcept { acknowledging_ = 0; }
    bool is_acknowledging() const noexcept { return acknowledging_ > 0; }

    /// Forgets what was not acknowledged and goes back to where the table says we are.
    void restart();
    /// How often reading went back: a page that was asked for before follows on nothing.
    std::uint64_t rewinds() const noexcept { return rewinds_; }

    /// Refusals of this event that count so far.
    int attempts(EventSeq id) const {
        const auto found = refusals_.find(id);
        return found == refusals_.end() ? 0 : found->second.attempts;
    }
    /// Was refused, perhaps for its neighbours' sake.
    bool is_suspect(EventSeq id) const { return refusals_.contains(id); }
    bool holds(std::string_view key) const { return held_.contains(std::string(key)); }

private:
    struct Position {
        outbox::Snapshot cursor;
        std::optional<outbox::Snapshot> target;
        EventSeq last_id;
    };
    struct Page {
        PageNumber number;
        Position after;           ///< the lane's position once this page is acknowledged
        outbox::Snapshot cursor;  ///< of its window
        outbox::Snapshot target;
        EventSeq first;
        EventSeq last;
        std::size_t open;  ///< events that are neither published nor parked
        std::int64_t published = 0;
        std::vector<outbox::ParkedEvent> parked;
        std::vector<std::string>
            keys_held;  ///< since this page; not in the table before it is acknowledged
    };
    struct Refusal {
        int attempts = 0;
        std::string error_class;
        std::string error;
    };

    Page& page_at(PageNumber number);
    void pass(Position to);
    bool joins_acknowledgement() const;
    void put_aside(Page& page, outbox::ParkedEvent event, std::string_view key);

    LaneId lane_;
    Epoch epoch_;
    Limits limits_;
    Position done_;  ///< as the table has it, or further where that needs no write
    Position read_;
    std::deque<Page> pages_;
    PageNumber next_number_ = 0;
    std::size_t acknowledging_ =
        0;                        ///< pages at the front that the acknowledgement under way covers
    std::size_t unreported_ = 0;  ///< admitted, and neither published nor parked
    std::unordered_set<std::string> held_;
    std::map<EventSeq, Refusal> refusals_;
    std::optional<EventSeq> waits_for_topic_;
    std::uint64_t rewinds_ = 0;
    std::uint64_t looks_ = 0;
    bool is_alone_ = false;  ///< one that must go alone is admitted and not reported
};

}  // namespace txstream::relay
