#include "relay/reader.hpp"

#include "relay/fake_kafka.hpp"
#include "relay/fake_outbox.hpp"
#include "relay/virtual_loop.hpp"
#include "runtime/task_group.hpp"

#include <gtest/gtest.h>

namespace txstream::relay {
namespace {

using namespace std::chrono_literals;

class ReaderTest : public testing::Test {
protected:
    /// Pages of each lane that may be in flight.
    explicit ReaderTest(std::size_t pages = 64) : pages_(pages) {
        silence_log();
        claim(1);
        tasks_.spawn(reader_.run());
    }
    ~ReaderTest() override {
        reader_.stop();
        EXPECT_TRUE(until([&] { return tasks_.size() == 0; }));
    }

    void claim(std::int64_t epoch, std::int16_t lane = 1, std::int64_t cursor = 10) {
        outbox::ClaimedLane claimed{};
        claimed.lane = LaneId(lane);
        claimed.epoch = Epoch(epoch);
        claimed.cursor = snapshot(cursor);
        delivery_.add_lane(claimed, Reader::Clock::now() + 1h);
    }
    /// A window of so many pages.
    void write(std::int64_t pages) {
        for (std::int64_t id = 1; id <= pages * kPageRows; ++id)
            source_.window.push_back({.id = id, .lane = 1, .aggregate_id = std::to_string(id)});
        source_.now = snapshot(20);
    }
    template <class Condition>
    bool until(Condition condition, Reader::Clock::duration limit = 30s) {
        const auto settled = [&] {
            // The keeper's part.
            if (delivery_.is_in_doubt()) delivery_.trust(delivery_.doubts());
            return condition();
        };
        return loop_.until(settled, limit);
    }
    bool polls(int times, Reader::Clock::duration limit = 30s) {
        return until([&] { return source_.polls >= times; }, limit);
    }

    using Keys = std::vector<std::string>;
    static constexpr std::int64_t kPageRows = 5;

    std::size_t pages_;
    VirtualLoop loop_;
    FakeKafka kafka_;
    FakeSource source_;
    telemetry::Registry registry_;
    Metrics metrics_{registry_};
    runtime::Wakeup wakeup_{loop_.executor()};
    runtime::Wakeup keeper_{loop_.executor()};
    SharedBreaker breaker_{{.failure_threshold = 100}, nullptr};
    DeliveryGate gate_{
        {.retry = {.exponential = false, .fixed_delay = 1h},
         .publish_timeout = 1h,
         .probe_timeout = 1h},
        breaker_
    };
    Blockages blockages_{nullptr};
    Delivery delivery_{
        {loop_.executor(), kafka_.maker(), gate_, metrics_, wakeup_, keeper_, "t", blockages_},
        {.lane = {.pages_in_flight_max = pages_},
         .topics = {.retry_delay = 5ms},
         .reports_grace = 0ms}
    };
    Reader reader_{
        delivery_,
        gate_,
        source_,
        metrics_,
        wakeup_,
        {.page = {kPageRows, 1 << 20, 1 << 20}, .poll_min = 1ms, .poll_max = 1h}
    };
    runtime::TaskGroup tasks_{loop_.executor()};
};

TEST_F(ReaderTest, LanesArePagedTogetherInTheOrderOfIds) {
    claim(1, 2);
    claim(1, 3);
    write(3);
    for (auto& event : source_.window) event.lane = event.id % 2 == 0 ? 1 : 2;
    ASSERT_TRUE(until([&] { return kafka_.sent.size() == 15; }));
    ASSERT_GE(source_.pages.size(), 3U);
    for (std::int64_t page = 0; page < 3; ++page) {
        const auto& asked = source_.pages[static_cast<std::size_t>(page)];
        EXPECT_EQ(asked.lanes, (std::vector{LaneId(1), LaneId(2), LaneId(3)}));
        EXPECT_EQ(asked.after, page == 0 ? EventSeq(1, 3).before() : EventSeq(5 * page, 3));
    }
    for (const auto lane : {LaneId(1), LaneId(2), LaneId(3)})
        EXPECT_EQ(delivery_.machine(lane).cursor(), snapshot(20));
    const auto shown = registry_.expose();
    EXPECT_NE(shown.find("\ntxstream_reader_pages_total 3\n"), std::string::npos) << "of all lanes";
    EXPECT_NE(shown.find("\ntxstream_reader_events_total 15\n"), std::string::npos);
    EXPECT_EQ(shown.find("\ntxstream_reader_polls_total 0\n"), std::string::npos);
    EXPECT_EQ(shown.find("\ntxstream_reader_bytes_total 0\n"), std::string::npos);
    kafka_.report(Outcome::acknowledged);
    for (const auto& one : delivery_.take_acknowledgements()) {
        EXPECT_EQ(one.progress.cursor, snapshot(20)) << "one place for all";
        delivery_.acknowledged(one);
    }
}

class ReaderOfTwoPagesTest : public ReaderTest {
protected:
    ReaderOfTwoPagesTest() : ReaderTest(2) {}
};

TEST_F(ReaderOfTwoPagesTest, ALaneThatFellBehindIsReadOnItsOwnUntilItIsWhereTheOthersAre) {
    claim(1, 2);
    write(4);
    for (auto& event : source_.window) event.lane = event.id % 2 == 0 ? 1 : 2;
    const auto acknowledge = [&] {
        for (const auto& one : delivery_.take_acknowledgements()) delivery_.acknowledged(one);
    };
    ASSERT_TRUE(until([&] {
        for (const auto& key : kafka_.keys())
            if (std::stoi(key) % 2 == 0) kafka_.report_one(key, Outcome::acknowledged);
        acknowledge();
        return source_.received >= 4 && !delivery_.machine(LaneId(1)).is_paging();
    }));
    EXPECT_TRUE(delivery_.machine(LaneId(2)).is_paging()) << "it has no room for a third page";
    Keys came;
    ASSERT_TRUE(until([&] {
        for (const auto& key : kafka_.keys()) came.push_back(key);
        kafka_.report(Outcome::acknowledged);
        acknowledge();
        return !delivery_.machine(LaneId(2)).is_paging();
    }));
    for (const auto& key : kafka_.keys()) came.push_back(key);
    EXPECT_EQ(came, (Keys{"1", "3", "5", "7", "9", "11", "13", "15", "17", "19"}));
    EXPECT_EQ(source_.pages.back().lanes, std::vector{LaneId(2)});
    EXPECT_EQ(delivery_.machine(LaneId(2)).cursor(), delivery_.machine(LaneId(1)).cursor());
}

/// A window of two lanes, of which the second is claimed when the first is far ahead.
class ReaderOfALateLaneTest : public ReaderTest {
protected:
    ReaderOfALateLaneTest() : ReaderTest(kPagesOfLane) {}

    /// The first has come to the id 80; without acknowledgements each reads four pages.
    void claim_late(std::int64_t cursor) {
        write(40);
        for (auto& event : source_.window) event.lane = event.id % 2 == 0 ? 1 : 2;
        source_.on_first = [&] { ++looks_for_first_; };
        ASSERT_TRUE(until([&] { return source_.received == kPagesOfLane; }));
        acknowledge();
        ASSERT_TRUE(until([&] { return source_.received == 2 * kPagesOfLane; }));
        claim(1, 2, cursor);
        source_.now = snapshot(30);  // what another window would end at
        reader_.nudge();
        ASSERT_TRUE(until([&] { return source_.received == 3 * kPagesOfLane; }));
    }
    void acknowledge() {
        for (const auto& key : kafka_.keys()) came_.push_back(key);
        kafka_.report(Outcome::acknowledged);
        for (const auto& one : delivery_.take_acknowledgements()) delivery_.acknowledged(one);
    }

    static constexpr int kPagesOfLane = 4;
    const std::vector<LaneId> kFirst{LaneId(1)};
    const std::vector<LaneId> kLate{LaneId(2)};
    int looks_for_first_ = 0;
    Keys came_;
};

TEST_F(ReaderOfALateLaneTest, ItBeginsTheWindowOfTheOthersAndTheyMeet) {
    claim_late(10);
    const auto& pages = source_.pages;
    EXPECT_EQ(looks_for_first_, 1) << "where the window begins is known";
    EXPECT_EQ(pages[2 * kPagesOfLane].after, EventSeq(1, 3).before());
    const auto before = pages.size();
    // From here on both have room.
    source_.on_send = [&] { acknowledge(); };
    acknowledge();
    ASSERT_TRUE(until([&] { return pages.back().lanes.size() == 2; }));
    std::size_t of_first = 0;
    std::size_t apart = before;
    for (; pages[apart].lanes.size() == 1; ++apart) {
        if (pages[apart].lanes != kFirst) continue;
        ++of_first;
        EXPECT_LE(pages[apart].up_to.id() - pages[apart].after.id(), kPageRows) << "it waits";
    }
    EXPECT_LE(of_first, 1 + (apart - before) / 4) << "three pages of four are of the late one";
    for (const auto& page : pages) {
        EXPECT_EQ(page.cursor, snapshot(10));
        EXPECT_EQ(page.target, snapshot(20));
    }
    acknowledge();
    std::ranges::sort(came_);
    EXPECT_EQ(std::ranges::adjacent_find(came_), came_.end()) << "none twice";
}

TEST_F(ReaderOfALateLaneTest, FromAnotherCursorItReadsAWindowOfItsOwn) {
    claim_late(25);
    EXPECT_EQ(source_.pages.back().lanes, kLate);
    EXPECT_EQ(source_.pages.back().cursor, snapshot(25));
    EXPECT_EQ(source_.pages.back().target, snapshot(30)) << "20 is behind where it is";
    EXPECT_EQ(looks_for_first_, 2);
}

TEST_F(ReaderTest, LanesThatAreClaimedWhileTheLowestIdIsLookedForBeginWithTheOthers) {
    write(3);
    for (auto& event : source_.window) event.lane = event.id % 2 == 0 ? 1 : 2;
    source_.on_first = [&] {
        if (delivery_.owns(LaneId(2))) return;
        claim(1, 2);
        claim(1, 3, 15);
        source_.now = snapshot(30);
    };
    ASSERT_TRUE(until([&] { return source_.sent > 0; }));
    EXPECT_EQ(source_.pages[0].lanes, (std::vector{LaneId(1), LaneId(2)}));
    EXPECT_EQ(source_.pages[0].target, snapshot(20));
}

TEST_F(ReaderTest, WhereAWindowBeganInAnEarlierLifeIsOfNoUse) {
    write(10);
    int looks = 0;
    source_.on_first = [&] { ++looks; };
    source_.on_receive = [&] {
        if (source_.received > 1) return;
        delivery_.lose_all();
        claim(2);
        reader_.nudge();
    };
    ASSERT_TRUE(until([&] { return source_.received > 2; }));
    EXPECT_EQ(looks, 2);
}

TEST_F(ReaderTest, APageEndsAfterSoManyIdsWhereNoneIsFound) {
    write(2);
    source_.window.back().id = 40'000'000;
    ASSERT_TRUE(until([&] { return kafka_.sent.size() == 10; }));
    std::int64_t reach = 1'000'000;
    for (std::size_t page = 2; page < source_.pages.size(); ++page) {
        const auto& asked = source_.pages[page];
        EXPECT_LE(asked.up_to.id() - asked.after.id(), reach);
        reach = std::min<std::int64_t>(2 * reach, 16'000'000);
    }
    EXPECT_LT(source_.pages.size(), 9U) << "1, 2, 4, 8, 16 million";
}

// An answer that nobody takes keeps the server's snapshot, and with it what vacuum would remove.
TEST_F(ReaderTest, AnAnswerUnderWayIsTakenAlsoWhileNothingMayBeSent) {
    write(10);
    source_.on_send = [&] {
        if (source_.sent == 3) kafka_.events.brokers_down(Error(Code::unavailable, "down"));
    };
    ASSERT_TRUE(until([&] { return source_.sent == 3; }));
    ASSERT_EQ(gate_.state(), DeliveryGate::State::paused);
    EXPECT_TRUE(until([&] { return source_.received == 3; }));
    EXPECT_EQ(source_.sent, 3) << "and nothing else is asked for";
}

TEST_F(ReaderTest, AProducerThatEndsCostsNoPageAndNoRecordThatWasDelivered) {
    write(3);
    source_.on_send = [&] {
        if (source_.sent != 3) return;
        kafka_.report(Outcome::acknowledged);
        kafka_.events.fatal(Error(Code::unavailable, "fatal"));
    };
    ASSERT_TRUE(until([&] { return source_.received == 3 && !delivery_.needs_restart(); }));
    EXPECT_EQ(kafka_.producers, 2);
    EXPECT_FALSE(delivery_.is_idle());
    EXPECT_EQ(kafka_.keys(), Keys()) << "nothing is read or sent again";
}

TEST_F(ReaderTest, EventsLargerThanTheirShareOfAPageComeByTheSumAndTheirNeighboursWithThem) {
    write(4);
    for (const std::size_t large : {3U, 4U, 11U}) source_.window[large].size = 1 << 19;
    Keys came;
    const auto all_came = [&] {
        for (const auto& key : kafka_.keys()) came.push_back(key);
        kafka_.report(Outcome::acknowledged);
        for (const auto& one : delivery_.take_acknowledgements()) delivery_.acknowledged(one);
        return came.size() >= 20;
    };
    ASSERT_TRUE(until(all_came));
    Keys all;
    for (int id = 1; id <= 20; ++id) all.push_back(std::to_string(id));
    EXPECT_EQ(came, all) << "each once, in order";
}

TEST_F(ReaderTest, AnEventThatNobodyCanSendIsParkedUnread) {
    write(1);
    source_.window[2].size = 1 << 21;
    ASSERT_TRUE(until([&] { return delivery_.events_in_flight() == 4; }));
    kafka_.report(Outcome::acknowledged);
    const auto taken = delivery_.take_acknowledgements();
    ASSERT_EQ(taken.size(), 1U);
    ASSERT_EQ(taken[0].parked.size(), 1U);
    EXPECT_EQ(taken[0].parked[0].id, EventSeq(3, 3));
    EXPECT_EQ(taken[0].parked[0].error_class, "MSG_SIZE_TOO_LARGE");
    for (const auto& one : taken) delivery_.acknowledged(one);
}

TEST_F(ReaderTest, SilenceOfKafkaIsAFailure) {
    gate_.sent(Reader::Clock::now() - 2h);
    ASSERT_TRUE(until([&] { return gate_.state() == DeliveryGate::State::paused; }));
}

TEST_F(ReaderTest, AfterEachNewSessionTheLanesAreInDoubt) {
    ASSERT_TRUE(polls(1));
    EXPECT_EQ(delivery_.doubts(), 1U);
    source_.breaks = true;
    const auto before = source_.polls;
    ASSERT_TRUE(polls(before + 2));
    EXPECT_EQ(delivery_.doubts(), 2U);
}

TEST_F(ReaderTest, AProbeThatHasNothingToSendIsLeftToOthers) {
    gate_.doubted();
    ASSERT_TRUE(polls(2));
    EXPECT_EQ(gate_.state(), DeliveryGate::State::flowing);
}

TEST_F(ReaderTest, AProbeIsLeftToOthersWhenTheSessionEnds) {
    gate_.doubted();
    source_.breaks = true;
    ASSERT_TRUE(until([&] { return source_.polls == 1; }));
    EXPECT_EQ(gate_.state(), DeliveryGate::State::flowing);
}

TEST_F(ReaderTest, AProbeIsLeftToOthersWhenTheLanesAreLost) {
    gate_.doubted();
    write(10);
    source_.on_receive = [&] { delivery_.lose_all(); };
    ASSERT_TRUE(until([&] { return source_.received == 1; }));
    EXPECT_EQ(gate_.state(), DeliveryGate::State::flowing);
}

TEST_F(ReaderTest, ALaneThatIsLostWhileItsWindowIsReadIsLeftAlone) {
    write(1);
    source_.on_window = [&] { delivery_.lose(LaneId(1)); };
    ASSERT_TRUE(until([&] { return delivery_.lane_count() == 0; }));
    EXPECT_TRUE(kafka_.sent.empty());
    source_.on_window = [] {};
    claim(2);
    wakeup_.notify();
    EXPECT_TRUE(until([&] { return kafka_.sent.size() == kPageRows; }));
}

TEST_F(ReaderTest, APageOfALaneThatWasLostAndCameBackIsNotItsPage) {
    write(10);
    source_.on_receive = [&] {
        if (source_.received > 1) return;
        delivery_.lose(LaneId(1));
        claim(2);
    };
    ASSERT_TRUE(until([&] { return !kafka_.sent.empty(); }));
    EXPECT_EQ(kafka_.keys()[0], "1") << "read again from its cursor";
    EXPECT_GT(source_.received, 1);
}

// A crash of the server may lie in between: the window's end would be of the time before.
TEST_F(ReaderTest, AWindowThatWasAskedForInAnEarlierLifeIsOfNoUse) {
    write(1);
    source_.on_window = [&] {
        if (source_.polls > 1) return;
        delivery_.lose_all();
        claim(2);
    };
    bool is_untouched = false;
    source_.on_poll = [&] {
        if (source_.polls != 2) return;
        is_untouched = delivery_.is_idle() && delivery_.machine(LaneId(1)).cursor() == snapshot(10);
    };
    ASSERT_TRUE(polls(2));
    EXPECT_TRUE(is_untouched);
    EXPECT_TRUE(until([&] { return kafka_.sent.size() == kPageRows; }));
}

TEST_F(ReaderTest, ANudgeBringsTheNextPollForwardAndNoOther) {
    ASSERT_TRUE(polls(8)) << "each pause is twice the one before";
    reader_.nudge();
    EXPECT_TRUE(polls(9, 100ms));
    EXPECT_FALSE(polls(10, 100ms));
}

// The event may have come too late for the snapshot of that poll.
TEST_F(ReaderTest, ANudgeDuringAPollIsNotLost) {
    source_.on_poll = [&] {
        if (source_.polls == 8) reader_.nudge();
    };
    ASSERT_TRUE(polls(8));
    EXPECT_TRUE(polls(9, 100ms));
    EXPECT_FALSE(polls(10, 100ms));
}

}  // namespace
}  // namespace txstream::relay
