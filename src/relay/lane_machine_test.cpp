#include "relay/lane_machine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace txstream::relay {
namespace {

outbox::Snapshot snapshot(std::int64_t xmax) {
    return outbox::Snapshot::parse(std::to_string(xmax) + ":" + std::to_string(xmax) + ":").value();
}

outbox::ClaimedLane claimed(std::int64_t xmax = 10) {
    outbox::ClaimedLane lane;
    lane.lane = LaneId(3);
    lane.epoch = Epoch(7);
    lane.cursor = snapshot(xmax);
    return lane;
}

LaneMachine machine(LaneMachine::Limits limits = {}) {
    return LaneMachine(claimed(), limits);
}

void publish(
    LaneMachine& lane, LaneMachine::PageNumber page, std::int64_t first, std::int64_t last
) {
    for (auto id = first; id <= last; ++id) lane.published(page);
}

TEST(LaneMachineTest, NothingIsAcknowledgedBeforeEachEventOfThePageIs) {
    auto lane = machine();
    const auto page = lane.add_page(snapshot(20), EventSeq(1), EventSeq(2), 2, EventSeq(2), true);
    publish(lane, page, 1, 1);
    EXPECT_FALSE(lane.next_acknowledgement());
    publish(lane, page, 2, 2);
    const auto done = lane.next_acknowledgement();
    ASSERT_TRUE(done);
    EXPECT_EQ(done->progress.cursor, snapshot(20));
    EXPECT_FALSE(done->progress.target);
    EXPECT_EQ(done->progress.epoch, Epoch(7));
    EXPECT_EQ(done->publication.events, 2);
    EXPECT_EQ(done->publication.cursor, snapshot(10));
    EXPECT_FALSE(lane.next_acknowledgement()) << "one acknowledgement at a time";
}

TEST(LaneMachineTest, ALaterPageThatIsCompleteWaitsForTheEarlierOne) {
    auto lane = machine();
    const auto first = lane.add_page(snapshot(20), EventSeq(1), EventSeq(1), 1, EventSeq(1), true);
    const auto second = lane.add_page(snapshot(30), EventSeq(2), EventSeq(2), 1, EventSeq(2), true);
    publish(lane, second, 2, 2);
    EXPECT_FALSE(lane.next_acknowledgement());
    publish(lane, first, 1, 1);
    const auto both = lane.next_acknowledgement();
    ASSERT_TRUE(both);
    EXPECT_EQ(both->pages, 2U);
    EXPECT_EQ(both->progress.cursor, snapshot(30));
    EXPECT_EQ(both->publication.cursor, snapshot(10));
    EXPECT_EQ(both->publication.target, snapshot(30));
}

TEST(LaneMachineTest, APagedWindowKeepsItsTargetUntilItEnds) {
    auto lane = machine();
    lane.begin_paging(snapshot(50), EventSeq(100));
    EXPECT_EQ(lane.read_up_to(), EventSeq(100).before());
    const auto page =
        lane.add_page(snapshot(50), EventSeq(100), EventSeq(109), 10, EventSeq(109), false);
    publish(lane, page, 100, 109);
    const auto middle = lane.next_acknowledgement();
    ASSERT_TRUE(middle);
    EXPECT_EQ(middle->progress.cursor, snapshot(10)) << "the cursor moves when the window ends";
    EXPECT_EQ(*middle->progress.target, snapshot(50));
    EXPECT_EQ(middle->progress.last_id, EventSeq(109));
    lane.acknowledged();
    lane.end_window();
    EXPECT_FALSE(lane.is_paging());
    EXPECT_EQ(lane.cursor(), snapshot(50));
}

TEST(LaneMachineTest, AWindowThatEndedDuringItsLastAcknowledgementIsOverAfterwards) {
    auto lane = machine();
    lane.begin_paging(snapshot(50), EventSeq(1));
    publish(
        lane, lane.add_page(snapshot(50), EventSeq(1), EventSeq(2), 2, EventSeq(2), false), 1, 2
    );
    ASSERT_TRUE(lane.next_acknowledgement());
    lane.end_window();
    lane.acknowledged();
    publish(
        lane, lane.add_page(snapshot(60), EventSeq(1), EventSeq(9), 9, EventSeq(9), true), 1, 9
    );
    const auto next = lane.next_acknowledgement();
    ASSERT_TRUE(next);
    EXPECT_EQ(next->publication.cursor, snapshot(50)) << "the old window must not be told twice";
}

TEST(LaneMachineTest, AWindowThatEndedAfterItsLastAcknowledgementIsOver) {
    auto lane = machine();
    lane.begin_paging(snapshot(50), EventSeq(1));
    publish(
        lane, lane.add_page(snapshot(50), EventSeq(1), EventSeq(2), 2, EventSeq(2), false), 1, 2
    );
    ASSERT_TRUE(lane.next_acknowledgement());
    lane.acknowledged();
    lane.end_window();
    publish(
        lane, lane.add_page(snapshot(60), EventSeq(1), EventSeq(9), 9, EventSeq(9), true), 1, 9
    );
    EXPECT_EQ(lane.next_acknowledgement()->publication.cursor, snapshot(50));
}

TEST(LaneMachineTest, WhatLiesBehindAParkedEventOfItsKeyIsParkedToo) {
    auto lane = machine();
    const auto page = lane.add_page(snapshot(20), EventSeq(1), EventSeq(3), 3, EventSeq(3), true);
    lane.park(page, {EventSeq(1), 1, "MSG_SIZE_TOO_LARGE", "too large"}, "k");
    ASSERT_TRUE(lane.holds("k"));
    lane.park_behind(page, EventSeq(2), "k");
    EXPECT_FALSE(lane.holds("other"));
    lane.published(page);
    const auto done = lane.next_acknowledgement();
    ASSERT_TRUE(done);
    ASSERT_EQ(done->parked.size(), 2U);
    EXPECT_EQ(done->parked[0].attempts, 1);
    EXPECT_EQ(done->parked[1].attempts, 0);
    EXPECT_EQ(done->parked[1].error_class, "held");
    EXPECT_EQ(done->publication.events, 1);
    lane.acknowledged();
    EXPECT_TRUE(lane.holds("k")) << "held in later windows too";
}

TEST(LaneMachineTest, AParkedEventThatDoesNotHoldItsKeyLetsLaterOnesGo) {
    auto lane = machine();
    const auto page = lane.add_page(snapshot(20), EventSeq(1), EventSeq(3), 3, EventSeq(3), true);
    lane.park(page, {EventSeq(1), 1, "BAD", "refused", false, false}, "k");
    EXPECT_FALSE(lane.holds("k"));
    EXPECT_EQ(lane.way_of("k", page), LaneMachine::Way::free);
    lane.published(page);
    // One that holds it, in the same page.
    lane.park(page, {EventSeq(3), 1, "BAD", "refused"}, "k");
    EXPECT_EQ(lane.way_of("k", page), LaneMachine::Way::behind);
    EXPECT_EQ(lane.unwritten("k"), 1U);
    const auto done = lane.next_acknowledgement();
    ASSERT_TRUE(done);
    ASSERT_EQ(done->parked.size(), 2U);
    EXPECT_FALSE(done->parked[0].holds);
    EXPECT_TRUE(done->parked[1].holds);
    lane.acknowledged();
    EXPECT_EQ(lane.unwritten("k"), 0U);
    EXPECT_TRUE(lane.holds("k"));
}

TEST(LaneMachineTest, KeysHeldInTheTableAreHeldFromTheStart) {
    auto found = claimed();
    found.held_keys = {"k"};
    LaneMachine lane(found, {});
    EXPECT_TRUE(lane.holds("k"));
}

TEST(LaneMachineTest, APageThatOnlyWaitsAndWhatIsSettledBehindItStopNoReading) {
    auto lane = machine({.pages_in_flight_max = 2, .pages_open_max = 5});
    std::int64_t id = 0;
    const auto read = [&] {
        ++id;
        return lane.add_page(snapshot(20 + id), EventSeq(id), EventSeq(id), 1, EventSeq(id), true);
    };
    const auto waiting = read();
    lane.set_aside(waiting);
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(lane.has_room());
        lane.published(read());
        EXPECT_FALSE(lane.next_acknowledgement()) << "in the order of the pages";
    }
    EXPECT_TRUE(lane.has_room());
    EXPECT_FALSE(lane.waits_for_those_aside());
    lane.published(read());
    EXPECT_FALSE(lane.has_room()) << "all of it would come again after a crash";
    EXPECT_TRUE(lane.waits_for_those_aside());
    lane.take_up(waiting);
    lane.published(waiting);
    EXPECT_EQ(lane.next_acknowledgement()->pages, 5U);
    lane.acknowledged();
    EXPECT_TRUE(lane.has_room());
}

TEST(LaneMachineTest, PagesInFlightStopReadingAlsoBehindOneThatWaits) {
    auto lane = machine({.pages_in_flight_max = 2, .pages_open_max = 9});
    lane.set_aside(lane.add_page(snapshot(20), EventSeq(1), EventSeq(2), 2, EventSeq(2), true));
    EXPECT_TRUE(lane.has_room()) << "its other event is in flight";
    lane.add_page(snapshot(30), EventSeq(3), EventSeq(3), 1, EventSeq(3), true);
    EXPECT_FALSE(lane.has_room());
    auto settled = machine({.pages_in_flight_max = 1, .pages_open_max = 9});
    settled.published(settled.add_page(snapshot(20), EventSeq(1), EventSeq(1), 1, EventSeq(1), true)
    );
    EXPECT_FALSE(settled.has_room()) << "what cannot be acknowledged is not added to";
}

TEST(LaneMachineTest, APageWithParkedEventsIsAcknowledgedAlone) {
    auto lane = machine();
    const auto first = lane.add_page(snapshot(20), EventSeq(1), EventSeq(1), 1, EventSeq(1), true);
    const auto second = lane.add_page(snapshot(30), EventSeq(2), EventSeq(2), 1, EventSeq(2), true);
    publish(lane, first, 1, 1);
    lane.park(second, {EventSeq(2), 1, "c", "e"}, "k");
    auto next = lane.next_acknowledgement();
    ASSERT_TRUE(next && next->parked.empty());
    EXPECT_EQ(next->pages, 1U);
    lane.acknowledged();
    next = lane.next_acknowledgement();
    ASSERT_TRUE(next);
    EXPECT_EQ(next->parked.size(), 1U);
}

TEST(LaneMachineTest, WhatHasNoEventsOfTheLaneIsAcknowledgedWithThePageBeforeIt) {
    auto lane = machine();
    lane.begin_paging(snapshot(50), EventSeq(1));
    lane.read_to(EventSeq(100));
    const auto page =
        lane.add_page(snapshot(50), EventSeq(101), EventSeq(102), 2, EventSeq(200), false);
    lane.read_to(EventSeq(300));
    publish(lane, page, 101, 102);
    const auto told = lane.next_acknowledgement();
    ASSERT_TRUE(told);
    EXPECT_EQ(told->progress.last_id, EventSeq(300));
    EXPECT_EQ(told->publication.first_id, EventSeq(101));
    EXPECT_EQ(told->publication.last_id, EventSeq(102));
    lane.read_to(EventSeq(400));
    lane.acknowledged();
    EXPECT_EQ(lane.read_up_to(), EventSeq(400));
}

TEST(LaneMachineTest, APageIsNotToldToHaveReachedIntoALaterWindow) {
    auto lane = machine();
    publish(
        lane, lane.add_page(snapshot(20), EventSeq(7), EventSeq(9), 3, EventSeq(9), true), 7, 9
    );
    lane.begin_paging(snapshot(50), EventSeq(1));
    lane.read_to(EventSeq(8));
    const auto told = lane.next_acknowledgement();
    ASSERT_TRUE(told);
    EXPECT_EQ(told->publication.target, snapshot(20));
    EXPECT_FALSE(told->progress.target);
}

TEST(LaneMachineTest, AnIdleLaneSettlesWhereItWasRead) {
    auto lane = machine();
    lane.skip_to(snapshot(40));
    publish(
        lane, lane.add_page(snapshot(50), EventSeq(1), EventSeq(1), 1, EventSeq(1), true), 1, 1
    );
    EXPECT_EQ(lane.next_acknowledgement()->publication.cursor, snapshot(40));
}

// A model of the table and of Kafka around one lane: transactions become visible in any order, and
// the machine is driven by random choices. Each event is xid = when it becomes visible.
class Storm {
public:
    explicit Storm(unsigned seed) : random_(seed), lane_(machine({.pages_in_flight_max = 3})) {
        std::vector<std::int64_t> xids;
        for (std::int64_t id = 1; id <= kEvents; ++id) xids.push_back(11 + id + roll(6));
        for (std::int64_t id = 1; id <= kEvents; ++id) {
            // Writers of a key are serialised: its xids rise with its ids.
            const auto key = std::to_string(roll(4));
            auto& last = last_xid_[key];
            last = std::max(last, xids[static_cast<std::size_t>(id - 1)]);
            events_[id] = {last, key};
        }
        impossible_ = 1 + roll(kEvents);
        homeless_ = 1 + roll(kEvents);
    }

    void run() {
        for (int step = 0; step < 20'000 && !finished(); ++step) act();
        ASSERT_TRUE(finished()) << "the lane got stuck";
        for (const auto& [id, event] : events_) {
            ASSERT_TRUE(published_.contains(id) || parked_.contains(id))
                << "event " << id << " is lost";
            ASSERT_EQ(covered_[id], parked_.contains(id) ? covered_[id] : 1) << "event " << id;
        }
        ASSERT_TRUE(parked_.contains(impossible_));
    }
    int set_aside() const { return set_aside_; }

private:
    static constexpr std::int64_t kEvents = 40;
    struct Event {
        std::int64_t xid;
        std::string key;
    };
    struct Page {
        LaneMachine::PageNumber number;
        std::vector<std::int64_t> ids;
        std::size_t next = 0;
    };

    std::int64_t roll(std::int64_t below) {
        return std::uniform_int_distribution<std::int64_t>(0, below - 1)(random_);
    }
    bool finished() const { return lane_.is_idle() && table_ >= kLast; }

    void act() {
        switch (roll(8)) {
            case 0:
            case 1:
                read();
                break;
            case 2:
            case 3:
                hand_over();
                break;
            case 4:
            case 5:
                report();
                break;
            case 6:
                acknowledge();
                break;
            default:
                take_up();
        }
    }

    std::vector<std::int64_t> window(std::int64_t from, std::int64_t to, std::int64_t after) const {
        std::vector<std::int64_t> ids;
        for (const auto& [id, event] : events_) {
            if (event.xid >= from && event.xid < to && id > after) ids.push_back(id);
        }
        return ids;
    }

    /// Ids of other lanes that the page's statement has passed as well.
    std::int64_t end_of_page(std::int64_t last, std::int64_t to) {
        const auto more = window(lane_.cursor().xmax(), to, last);
        return more.empty() ? roll(3) : roll(more.front() - last);
    }

    void read() {
        if (!lane_.has_room()) return;
        const auto from = lane_.cursor().xmax();
        if (!lane_.is_paging()) {
            const auto to = std::min(from + roll(8), kLast);
            if (to == from) return;
            const auto ids = window(from, to, 0);
            if (ids.empty()) return lane_.skip_to(snapshot(to));
            if (ids.size() > kPage) return lane_.begin_paging(snapshot(to), EventSeq(ids.front()));
            add(ids, to, true);
            return;
        }
        const auto to = lane_.target().xmax();
        auto ids = window(from, to, lane_.read_up_to().id());
        if (!ids.empty() && roll(4) == 0) {
            const auto gap = ids.front() - 1 - lane_.read_up_to().id();
            return lane_.read_to(
                EventSeq(lane_.read_up_to().id() + roll(gap + 1), lane_.read_up_to().xid())
            );
        }
        if (ids.empty()) return lane_.end_window();
        const bool ends = ids.size() < kPage;
        if (!ends) ids.resize(kPage);
        add(ids, to, ends);
    }

    void add(const std::vector<std::int64_t>& ids, std::int64_t to, bool ends) {
        const auto number = lane_.add_page(
            snapshot(to),
            EventSeq(ids.front()),
            EventSeq(ids.back()),
            ids.size(),
            EventSeq(ids.back() + (ends ? 0 : end_of_page(ids.back(), to))),
            ends
        );
        pages_.push_back({number, ids});
    }

    bool is_aside(const std::string& key) const {
        return std::ranges::any_of(aside_, [&](const auto& one) {
            return events_.at(one.second).key == key;
        });
    }

    void hand_over() {
        for (auto& page : pages_) {
            if (page.next == page.ids.size()) continue;
            const auto id = page.ids[page.next++];
            const auto& key = events_[id].key;
            if (lane_.holds(key)) return lane_.park_behind(page.number, EventSeq(id), key);
            if (id == impossible_ || id == homeless_ || is_aside(key) || roll(8) == 0) {
                lane_.set_aside(page.number);
                aside_.emplace_back(page.number, id);
                ++set_aside_;
                return;
            }
            return send(page.number, id);
        }
    }

    void send(LaneMachine::PageNumber number, std::int64_t id) {
        for (const auto& [other, event] : events_) {
            if (event.key == events_[id].key && other < id)
                ASSERT_TRUE(sent_.contains(other) || published_.contains(other))
                    << other << " of the same key was not before " << id;
        }
        sent_.insert(id);
        in_flight_.emplace_back(number, id);
    }

    void report() {
        if (in_flight_.empty()) return;
        const auto [number, id] = in_flight_.front();
        in_flight_.erase(in_flight_.begin());
        lane_.published(number);
        published_.insert(id);
    }

    // The first of some key that was set aside.
    void take_up() {
        if (aside_.empty()) return;
        const auto some = aside_[static_cast<std::size_t>(roll(std::int64_t(aside_.size())))];
        const auto key = events_[some.second].key;
        const auto first = std::ranges::find_if(aside_, [&](const auto& one) {
            return events_[one.second].key == key;
        });
        const auto [number, id] = *first;
        if (id == homeless_ && homeless_tries_-- > 0) return;
        aside_.erase(first);
        lane_.take_up(number);
        if (lane_.holds(key)) return lane_.park_behind(number, EventSeq(id), key);
        if (id == impossible_) return lane_.park(number, {EventSeq(id), 1, "c", "e"}, key);
        send(number, id);
    }

    void acknowledge() {
        if (acknowledging_) {
            table_ = acknowledging_->progress.cursor.xmax();
            for (const auto& one : acknowledging_->parked) parked_.insert(one.id.id());
            const auto& told = acknowledging_->publication;
            for (const auto& [id, event] : events_) {
                if (event.xid >= told.cursor.xmax() && event.xid < told.target.xmax() &&
                    id >= told.first_id.id() && id <= told.last_id.id()) {
                    ++covered_[id];
                }
            }
            pages_.erase(
                pages_.begin(), pages_.begin() + static_cast<std::ptrdiff_t>(acknowledging_->pages)
            );
            acknowledging_.reset();
            lane_.acknowledged();
            return;
        }
        if (lane_.is_idle()) table_ = lane_.cursor().xmax();
        acknowledging_ = lane_.next_acknowledgement();
    }

    static constexpr std::size_t kPage = 3;
    static constexpr std::int64_t kLast = 11 + kEvents + 10;

    std::mt19937 random_;
    LaneMachine lane_;
    std::map<std::int64_t, Event> events_;
    std::map<std::string, std::int64_t> last_xid_;
    std::int64_t impossible_ = 0;
    std::int64_t homeless_ = 0;
    int homeless_tries_ = 4;
    std::vector<Page> pages_;
    std::vector<std::pair<LaneMachine::PageNumber, std::int64_t>> in_flight_;
    std::set<std::int64_t> sent_;
    std::set<std::int64_t> published_;
    std::set<std::int64_t> parked_;
    std::map<std::int64_t, int> covered_;
    std::optional<LaneMachine::Acknowledgement> acknowledging_;
    std::int64_t table_ = 0;
    std::vector<std::pair<LaneMachine::PageNumber, std::int64_t>> aside_;
    int set_aside_ = 0;
};

TEST(LaneMachineTest, NoScheduleLosesReordersOrTellsTwiceOfAnEvent) {
    const char* given = std::getenv("TXS_TEST_SEED");
    const auto first = given ? static_cast<unsigned>(std::atoi(given)) : std::random_device{}();
    int aside = 0;
    for (unsigned i = 0; i < 300; ++i) {
        SCOPED_TRACE(testing::Message() << "TXS_TEST_SEED=" << first + i);
        Storm storm(first + i);
        storm.run();
        if (HasFatalFailure()) return;
        aside += storm.set_aside();
    }
    EXPECT_GT(aside, 300) << "hardly anything was set aside";
}

TEST(LaneMachineTest, OfAPageEitherAllOfAHeldKeyIsParkedOrAllWaits) {
    auto lane = machine();
    const auto before = lane.add_page(snapshot(20), EventSeq(1), EventSeq(2), 2, EventSeq(2), true);
    lane.park(before, {EventSeq(1), 1, "MSG_SIZE_TOO_LARGE", "too large"}, "k");
    lane.begin_wait("k");
    EXPECT_EQ(lane.way_of("k", before), LaneMachine::Way::behind);
    const auto after = lane.add_page(snapshot(30), EventSeq(3), EventSeq(3), 1, EventSeq(3), true);
    EXPECT_EQ(lane.way_of("k", after), LaneMachine::Way::waits);
    EXPECT_EQ(lane.way_of("other", after), LaneMachine::Way::free);
    lane.begin_wait("k");
    EXPECT_EQ(lane.way_of("k", after), LaneMachine::Way::waits) << "it has begun";
    lane.hold("k");
    EXPECT_EQ(lane.way_of("k", after), LaneMachine::Way::behind);
}

TEST(LaneMachineTest, WhatIsParkedOfAKeyIsUnwrittenUntilItIsAcknowledged) {
    auto lane = machine();
    const auto page = lane.add_page(snapshot(20), EventSeq(1), EventSeq(2), 2, EventSeq(2), true);
    lane.park(page, {EventSeq(1), 1, "MSG_SIZE_TOO_LARGE", "too large"}, "k");
    lane.park_behind(page, EventSeq(2), "k");
    EXPECT_EQ(lane.unwritten("k"), 2U);
    ASSERT_TRUE(lane.next_acknowledgement());
    EXPECT_EQ(lane.unwritten("k"), 2U);
    lane.acknowledged();
    EXPECT_EQ(lane.unwritten("k"), 0U);
    lane.release("k");
    EXPECT_FALSE(lane.holds("k"));
}

}  // namespace
}  // namespace txstream::relay
