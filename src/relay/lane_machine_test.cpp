#include "relay/lane_machine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace txstream::relay {
namespace {

using Admission = LaneMachine::Admission;

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

/// Admits and publishes the events of a page, whose keys are their ids.
void publish(
    LaneMachine& lane, LaneMachine::PageNumber page, std::int64_t first, std::int64_t last
) {
    for (auto id = first; id <= last; ++id) {
        ASSERT_EQ(lane.admit(page, EventSeq(id), std::to_string(id)), Admission::publish);
        lane.published(page);
    }
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
    ASSERT_EQ(lane.admit(page, EventSeq(1), "k"), Admission::publish);
    lane.park(page, EventSeq(1), "k", "MSG_SIZE_TOO_LARGE", "too large");
    EXPECT_EQ(lane.admit(page, EventSeq(2), "k"), Admission::parked);
    EXPECT_EQ(lane.admit(page, EventSeq(3), "other"), Admission::publish);
    lane.published(page);
    const auto done = lane.next_acknowledgement();
    ASSERT_TRUE(done);
    ASSERT_EQ(done->parked.size(), 2U);
    EXPECT_EQ(done->parked[0].attempts, 1);
    EXPECT_EQ(done->parked[1].attempts, 0);
    EXPECT_EQ(done->parked[1].error_class, "held");
    EXPECT_EQ(done->publication.events, 1);
    lane.acknowledged();
    const auto later = lane.add_page(snapshot(30), EventSeq(4), EventSeq(4), 1, EventSeq(4), true);
    EXPECT_EQ(lane.admit(later, EventSeq(4), "k"), Admission::parked)
        << "held in later windows too";
}

TEST(LaneMachineTest, KeysHeldInTheTableAreHeldFromTheStart) {
    auto found = claimed();
    found.held_keys = {"k"};
    LaneMachine lane(found, {});
    const auto page = lane.add_page(snapshot(20), EventSeq(5), EventSeq(5), 1, EventSeq(5), true);
    EXPECT_EQ(lane.admit(page, EventSeq(5), "k"), Admission::parked);
}

TEST(LaneMachineTest, ARefusedEventIsTriedAloneAndParkedAfterItsAttempts) {
    auto lane = machine({.pages_in_flight_max = 4, .attempts_max = 2});
    const auto read = [&] {
        return lane.add_page(snapshot(20), EventSeq(1), EventSeq(3), 3, EventSeq(3), true);
    };
    auto page = read();
    for (auto id = 1; id <= 3; ++id)
        ASSERT_EQ(lane.admit(page, EventSeq(id), "k"), Admission::publish);
    lane.refused(EventSeq(2), "MSG_SIZE_TOO_LARGE", "in a batch of many");
    EXPECT_EQ(lane.attempts(EventSeq(2)), 0) << "it may have been its neighbour's fault";
    lane.restart();
    for (int attempt = 1; attempt <= 2; ++attempt) {
        page = read();
        ASSERT_EQ(lane.admit(page, EventSeq(1), "k"), Admission::publish);
        EXPECT_EQ(lane.admit(page, EventSeq(2), "k"), Admission::wait) << "nothing before it";
        lane.published(page);
        ASSERT_EQ(lane.admit(page, EventSeq(2), "k"), Admission::publish);
        EXPECT_EQ(lane.admit(page, EventSeq(3), "k"), Admission::wait) << "nothing behind it";
        lane.refused(EventSeq(2), "MSG_SIZE_TOO_LARGE", "alone");
        EXPECT_EQ(lane.attempts(EventSeq(2)), attempt);
        lane.restart();
    }
    page = read();
    ASSERT_EQ(lane.admit(page, EventSeq(1), "k"), Admission::publish);
    lane.published(page);
    EXPECT_EQ(lane.admit(page, EventSeq(2), "k"), Admission::parked);
    EXPECT_EQ(lane.admit(page, EventSeq(3), "k"), Admission::parked);
    const auto done = lane.next_acknowledgement();
    ASSERT_TRUE(done);
    EXPECT_EQ(done->parked.at(0).attempts, 2);
    EXPECT_EQ(done->parked.at(0).error, "alone");
}

TEST(LaneMachineTest, OfARefusedBatchOnlyTheGuiltyIsParked) {
    auto lane = machine({.pages_in_flight_max = 4, .attempts_max = 1});
    const auto read = [&] {
        return lane.add_page(snapshot(20), EventSeq(1), EventSeq(4), 4, EventSeq(4), true);
    };
    const auto key = [](int id) { return "k" + std::to_string(id); };
    auto page = read();
    for (auto id = 1; id <= 4; ++id)
        ASSERT_EQ(lane.admit(page, EventSeq(id), key(id)), Admission::publish);
    lane.published(page);
    for (auto id = 2; id <= 4; ++id) lane.refused(EventSeq(id), "INVALID_TIMESTAMP", "a batch");
    for (auto round = 1; round <= 2; ++round) {
        lane.restart();
        page = read();
        ASSERT_EQ(lane.admit(page, EventSeq(1), key(1)), Admission::publish);
        lane.published(page);
        ASSERT_EQ(lane.admit(page, EventSeq(2), key(2)), Admission::publish);
        lane.published(page);
        if (round == 2) break;
        ASSERT_EQ(lane.admit(page, EventSeq(3), key(3)), Admission::publish);
        lane.refused(EventSeq(3), "INVALID_TIMESTAMP", "alone");
    }
    EXPECT_EQ(lane.admit(page, EventSeq(3), key(3)), Admission::parked);
    ASSERT_EQ(lane.admit(page, EventSeq(4), key(4)), Admission::publish);
    lane.published(page);
    const auto done = lane.next_acknowledgement();
    ASSERT_TRUE(done);
    ASSERT_EQ(done->parked.size(), 1U);
    EXPECT_EQ(done->parked[0].id, EventSeq(3));
}

TEST(LaneMachineTest, ARestartReadsAgainFromTheLastAcknowledgement) {
    auto lane = machine();
    publish(
        lane, lane.add_page(snapshot(20), EventSeq(1), EventSeq(1), 1, EventSeq(1), true), 1, 1
    );
    ASSERT_TRUE(lane.next_acknowledgement());
    lane.acknowledged();
    const auto page = lane.add_page(snapshot(30), EventSeq(2), EventSeq(2), 1, EventSeq(2), true);
    ASSERT_EQ(lane.admit(page, EventSeq(2), "k"), Admission::publish);
    lane.restart();
    EXPECT_EQ(lane.cursor(), snapshot(20));
    EXPECT_TRUE(lane.is_idle());
}

TEST(LaneMachineTest, AParkingThatWasNotWrittenIsForgottenByARestart) {
    auto lane = machine();
    auto page = lane.add_page(snapshot(20), EventSeq(1), EventSeq(2), 2, EventSeq(2), true);
    ASSERT_EQ(lane.admit(page, EventSeq(1), "k"), Admission::publish);
    lane.park(page, EventSeq(1), "k", "c", "e");
    ASSERT_TRUE(lane.holds("k"));
    lane.restart();
    EXPECT_FALSE(lane.holds("k"));
    page = lane.add_page(snapshot(20), EventSeq(1), EventSeq(2), 2, EventSeq(2), true);
    EXPECT_EQ(lane.admit(page, EventSeq(1), "k"), Admission::publish);
}

TEST(LaneMachineTest, APageWithParkedEventsIsAcknowledgedAlone) {
    auto lane = machine();
    const auto first = lane.add_page(snapshot(20), EventSeq(1), EventSeq(1), 1, EventSeq(1), true);
    const auto second = lane.add_page(snapshot(30), EventSeq(2), EventSeq(2), 1, EventSeq(2), true);
    publish(lane, first, 1, 1);
    ASSERT_EQ(lane.admit(second, EventSeq(2), "k"), Admission::publish);
    lane.park(second, EventSeq(2), "k", "c", "e");
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
    lane.restart();
    EXPECT_EQ(lane.read_up_to(), EventSeq(400)) << "nothing lies in between";
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
    explicit Storm(unsigned seed)
        : random_(seed), lane_(machine({.pages_in_flight_max = 3, .attempts_max = 2})) {
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
    int cuts() const { return cuts_; }

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
                if (roll(20) == 0) restart();
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

    void hand_over() {
        for (auto& page : pages_) {
            if (page.next == page.ids.size()) continue;
            const auto id = page.ids[page.next];
            const auto verdict = lane_.admit(page.number, EventSeq(id), events_[id].key);
            if (verdict == Admission::wait) return;
            ++page.next;
            if (verdict == Admission::parked) return;
            for (const auto& [other, event] : events_) {
                if (event.key == events_[id].key && other < id)
                    ASSERT_TRUE(sent_.contains(other) || published_.contains(other))
                        << other << " of the same key was not before " << id;
            }
            sent_.insert(id);
            in_flight_.push_back({page.number, id});
            return;
        }
    }

    void report() {
        if (in_flight_.empty()) return;
        const auto [number, id] = in_flight_.front();
        if (id == impossible_) {
            lane_.refused(EventSeq(id), "c", "e");
            if (!acknowledging_) restart();
            return;
        }
        if (id == homeless_ && homeless_tries_ > 0) return refuse_topic(number, id);
        in_flight_.erase(in_flight_.begin());
        lane_.published(number);
        published_.insert(id);
    }

    // Where others were admitted after it only a restart brings back the order.
    void refuse_topic(LaneMachine::PageNumber number, std::int64_t id) {
        const auto page = std::ranges::find(pages_, number, &Page::number);
        const bool is_last = page->ids[page->next - 1] == id;
        const bool none_behind =
            std::all_of(page + 1, pages_.end(), [](const auto& one) { return one.next == 0; });
        const bool can_be_cut = is_last && none_behind;
        if (!can_be_cut && acknowledging_) return;
        --homeless_tries_;
        lane_.topic_refused(number, EventSeq(id));
        if (!can_be_cut) return restart();
        ++cuts_;
        const auto from = page->next - 1;
        lane_.cut(number, EventSeq(id), page->ids.size() - from);
        in_flight_.clear();
        sent_.erase(id);
        page->ids.resize(from);
        page->next = from;
        pages_.erase(from == 0 ? page : page + 1, pages_.end());
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

    void restart() {
        if (acknowledging_) return;
        lane_.restart();
        pages_.clear();
        in_flight_.clear();
        // Known again from what was published and what will be sent anew.
        sent_.clear();
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
    int cuts_ = 0;
};

TEST(LaneMachineTest, NoScheduleLosesReordersOrTellsTwiceOfAnEvent) {
    const char* given = std::getenv("TXS_TEST_SEED");
    const auto first = given ? static_cast<unsigned>(std::atoi(given)) : std::random_device{}();
    int cuts = 0;
    for (unsigned i = 0; i < 300; ++i) {
        SCOPED_TRACE(testing::Message() << "TXS_TEST_SEED=" << first + i);
        Storm storm(first + i);
        storm.run();
        if (HasFatalFailure()) return;
        cuts += storm.cuts();
    }
    EXPECT_GT(cuts, 300) << "topics were hardly refused";
}

}  // namespace
}  // namespace txstream::relay
