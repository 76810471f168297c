#pragma once

#include "outbox/progress.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
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
///   * once an event of a key is parked that holds it, no later event of the key is admitted (it is
///   parked behind it), until the key is released.
///
/// An event may be set aside: it waits for its topic, for an earlier event of its key, or to be
/// sent again. Its page stays open, and so do those behind it, while the lane reads on: a page in
/// which nothing else is left, and what was settled behind it, count only towards `pages_open_max`.
class LaneMachine {
public:
    using PageNumber = std::uint64_t;
    struct Limits {
        std::size_t pages_in_flight_max = 64;
        /// Behind events that are set aside. What is published of them comes again after a crash.
        std::size_t pages_open_max = 1024;
    };

    LaneMachine(outbox::ClaimedLane claimed, Limits limits);

    LaneId lane() const noexcept { return lane_; }
    Epoch epoch() const noexcept { return epoch_; }

    // Reading.

    /// Up to where events have been read; a caught-up lane is polled from here.
    const outbox::Snapshot& cursor() const noexcept { return read_.cursor; }
    bool is_paging() const noexcept { return read_.target.has_value(); }
    bool has_room() const noexcept;
    /// It reads on when what is set aside has found its way, or is parked.
    bool waits_for_those_aside() const noexcept {
        return pages_.size() >= limits_.pages_open_max && pages_.front().aside > 0;
    }
    bool is_idle() const noexcept { return pages_.empty() && !is_paging(); }

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

    // Publishing.

    /// What an event of a key can do that is neither settled nor on its way.
    enum class Way : std::uint8_t {
        free,    ///< go
        behind,  ///< be parked: an earlier one of its key is
        waits,   ///< for the key's letters, which are being sent
    };
    Way way_of(std::string_view key, PageNumber page) const {
        if (held_.empty()) return Way::free;
        const auto found = held_.find(key);
        if (found == held_.end()) return Way::free;
        return page < found->second.waits_from ? Way::behind : Way::waits;
    }
    bool holds(std::string_view key) const { return held_.contains(key); }

    // Of a key that is held, when its letters are sent. What was read before they are wanted is
    // still parked, what is read later waits: never both in one page. So the writing of parked
    // events never waits for the end of a replay that waits for it.

    void begin_wait(std::string_view key);
    /// Its letters are all sent, and none is to be written: events of the key go again.
    void release(std::string_view key);
    /// Its events are parked again, also those that wait.
    void hold(std::string_view key);
    bool waits(std::string_view key) const;
    /// Parked events of the key that are not written.
    std::size_t unwritten(std::string_view key) const;

    /// The event is not on its way; its page waits for it, and the lane does not.
    void set_aside(PageNumber page);
    /// It is on its way again.
    void take_up(PageNumber page);
    /// Kafka acknowledged an event that was not set aside.
    void published(PageNumber page);
    /// An event that was not set aside can never be taken: where it holds its key, that is held
    /// from now on.
    void park(PageNumber page, outbox::ParkedEvent event, std::string_view key);
    /// It comes after one that was parked.
    void park_behind(PageNumber page, EventSeq id, std::string_view key);

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
    /// The first page is complete, and no acknowledgement is under way.
    bool can_acknowledge() const noexcept {
        return acknowledging_ == 0 && !pages_.empty() && pages_.front().open == 0;
    }
    /// The pages that are complete and not yet being acknowledged, as one step; nothing if there
    /// are none. At most one acknowledgement is under way; pages with parked events come alone.
    std::optional<Acknowledgement> next_acknowledgement();
    void acknowledged();
    /// It was not written, as is known: its pages are complete, and not acknowledged, as before.
    void not_acknowledged() noexcept { acknowledging_ = 0; }
    bool is_acknowledging() const noexcept { return acknowledging_ > 0; }

private:
    static constexpr PageNumber kNever = std::numeric_limits<PageNumber>::max();

    struct Held {
        PageNumber waits_from = kNever;
        std::size_t unwritten = 0;
    };
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
        std::size_t open;       ///< events that are neither published nor parked
        std::size_t aside = 0;  ///< of them, those that are not on their way
        std::int64_t published = 0;
        std::vector<outbox::ParkedEvent> parked;
        std::vector<std::string> held_keys;  ///< of each that holds its key
    };

    Page& page_at(PageNumber number);
    void pass(Position to);
    bool joins_acknowledgement() const;

    LaneId lane_;
    Epoch epoch_;
    Limits limits_;
    Position done_;  ///< as the table has it, or further where that needs no write
    Position read_;
    std::deque<Page> pages_;
    PageNumber next_number_ = 0;
    std::size_t busy_ = 0;  ///< pages with an event that is neither settled nor set aside
    std::size_t acknowledging_ =
        0;  ///< pages at the front that the acknowledgement under way covers
    std::map<std::string, Held, std::less<>> held_;
    std::uint64_t looks_ = 0;
};

}  // namespace txstream::relay
