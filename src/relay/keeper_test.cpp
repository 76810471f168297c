#include "relay/keeper.hpp"

#include "relay/fake_kafka.hpp"
#include "relay/fake_outbox.hpp"
#include "relay/virtual_loop.hpp"
#include "runtime/task_group.hpp"

#include <gtest/gtest.h>

namespace txstream::relay {
namespace {

using namespace std::chrono_literals;
using Clock = Keeper::Clock;

class KeeperTest : public testing::Test {
protected:
    KeeperTest() { silence_log(); }
    ~KeeperTest() override {
        // Not to wait for what no test reports any more.
        if (tasks_.size() > 0) keeper_.stop(Deadline::in(0ms));
        EXPECT_TRUE(ends());
    }

    void start(std::vector<std::int16_t> lanes) {
        lanes_.free = std::move(lanes);
        const auto count = lanes_.free.size();
        tasks_.spawn(keeper_.run());
        ASSERT_TRUE(until([&] { return delivery_.lane_count() == count; }));
    }
    template <class Condition>
    bool until(Condition condition) {
        return loop_.until(condition);
    }
    bool shows(const std::string& line) const {
        return ("\n" + registry_.expose()).find("\n" + line + "\n") != std::string::npos;
    }
    bool ends() {
        return until([&] { return tasks_.size() == 0; });
    }
    /// One event of each lane, of number 10 less the lane's, from the cursors to one target.
    void hand_over(const std::vector<std::int16_t>& lanes, std::int64_t target = 20) {
        for (const auto lane : lanes) {
            const std::vector<tests::FakeEvent> events{
                {.id = 10 - lane, .lane = lane, .aggregate_id = std::to_string(target)}
            };
            add_page(delivery_, lane, events, snapshot(target));
        }
        delivery_.pump();
    }

    VirtualLoop loop_;
    FakeKafka kafka_;
    FakeLanes lanes_;
    telemetry::Registry registry_;
    Metrics metrics_{registry_};
    runtime::Wakeup reader_{loop_.executor()};
    runtime::Wakeup wakeup_{loop_.executor()};
    SharedBreaker breaker_{{.failure_threshold = 100}, nullptr};
    DeliveryGate gate_{DeliveryGate::Limits(), breaker_};
    Blockages blockages_{nullptr};
    Delivery delivery_{
        {loop_.executor(), kafka_.maker(), gate_, metrics_, reader_, wakeup_, "t", blockages_},
        {.lane = {}, .in_flight_bytes_max = 1, .topics = {}}
    };
    // Nothing is due by itself once it has been done.
    WorkerLimits limits_{
        .lease = 2h, .acknowledge_interval = 1h, .claim_interval = 1h, .statement_timeout = 1h
    };
    Replay replay_{{loop_.executor(), kafka_.maker(), delivery_, metrics_, wakeup_, "t"}, {}};
    Keeper keeper_{delivery_, replay_, lanes_, metrics_, wakeup_, reader_, limits_, [](auto) {}};
    runtime::TaskGroup tasks_{loop_.executor()};
};

TEST_F(KeeperTest, ALaneIsPublishedUntilAFifthOfItsLeaseBeforeItsEnd) {
    const auto before = Clock::now();
    start({1});
    const auto until = delivery_.first_expiry();
    ASSERT_TRUE(until);
    EXPECT_GE(*until, before + limits_.lease * 4 / 5);
    EXPECT_LE(*until, Clock::now() + limits_.lease * 4 / 5);
}

TEST_F(KeeperTest, NoStatementOutlastsTheLeases) {
    start({1});
    const auto end = Clock::now() + 10min;
    delivery_.renewed({LaneId(1)}, end);
    hand_over({1});
    kafka_.report(Outcome::acknowledged);
    ASSERT_TRUE(until([&] { return lanes_.moved.size() == 1; }));
    EXPECT_LE(lanes_.deadline->at(), end);
}

TEST_F(KeeperTest, ALaneWhoseTimeIsOverIsLostWithWhatIsQueued) {
    start({1});
    hand_over({1});
    ASSERT_EQ(kafka_.sent.size(), 1U);
    delivery_.renewed({LaneId(1)}, Clock::now());
    wakeup_.notify();
    EXPECT_TRUE(until([&] { return delivery_.lane_count() == 0; }));
    EXPECT_TRUE(kafka_.sent.empty());
}

TEST_F(KeeperTest, AnAcknowledgementThatFailedGoesAgainAsItWas) {
    start({1});
    hand_over({1});
    lanes_.fails = Error(Code::unavailable, "a lock time-out");
    kafka_.report(Outcome::acknowledged);
    ASSERT_TRUE(until([&] { return lanes_.moved.size() == 1; }));
    EXPECT_EQ(lanes_.moved[0].cursor, snapshot(20));
    EXPECT_FALSE(lanes_.fails);
    EXPECT_FALSE(delivery_.is_acknowledging());
    EXPECT_TRUE(delivery_.is_idle());
}

TEST_F(KeeperTest, WithoutRoomAnAcknowledgementWaitsForNoInterval) {
    start({1});
    for (const std::size_t times : {std::size_t{1}, std::size_t{2}}) {
        hand_over({1}, 20 + static_cast<std::int64_t>(times));
        kafka_.report(Outcome::acknowledged);
        EXPECT_TRUE(until([&] { return lanes_.moved.size() == times; }));
    }
}

TEST_F(KeeperTest, ACursorThatWasNotOursToMoveLosesTheLane) {
    start({1, 2});
    lanes_.lost = {1};
    hand_over({1, 2});
    kafka_.report(Outcome::acknowledged);
    ASSERT_TRUE(until([&] { return delivery_.lane_count() == 1; }));
    EXPECT_TRUE(delivery_.owns(LaneId(2)));
    EXPECT_TRUE(shows("txstream_leases_lost_total{reason=\"taken_over\"} 1"));
    EXPECT_EQ(metrics_.last_loss()->how, Lost::taken_over);
}

TEST_F(KeeperTest, LanesThatChangeHandsAreCountedByHow) {
    start({1, 2, 3});
    EXPECT_TRUE(shows("txstream_lanes_claimed_total 3"));
    EXPECT_FALSE(metrics_.last_loss());
    lanes_.free = {4, 5};
    delivery_.renewed({LaneId(1), LaneId(2), LaneId(3)}, Clock::now());
    wakeup_.notify();
    ASSERT_TRUE(until([&] { return delivery_.lane_count() == 2; }));
    EXPECT_TRUE(shows("txstream_leases_lost_total{reason=\"lease_expired\"} 1")) << "one lease";
    EXPECT_TRUE(shows("txstream_lanes_lost_total{reason=\"lease_expired\"} 3"));
    lanes_.breaks = true;
    delivery_.doubt();
    ASSERT_TRUE(until([&] { return delivery_.lane_count() == 0; }));
    EXPECT_TRUE(shows("txstream_lanes_lost_total{reason=\"session_lost\"} 2"));
    EXPECT_EQ(metrics_.last_loss()->times, 2U);
    lanes_.free = {6, 7, 8};
    ASSERT_TRUE(until([&] { return delivery_.lane_count() == 3; }));
    lanes_.lost = {6};
    delivery_.doubt();
    ASSERT_TRUE(until([&] { return delivery_.lane_count() == 2; }));
    EXPECT_TRUE(shows("txstream_lanes_lost_total{reason=\"taken_over\"} 1")) << "it was fenced";
    keeper_.stop(Deadline::in(1h));
    ASSERT_TRUE(ends());
    EXPECT_TRUE(shows("txstream_lanes_released_total 2"));
    EXPECT_TRUE(shows("txstream_lanes_claimed_total 8"));
}

TEST_F(KeeperTest, LanesThatWentTheSameWayAreOnePublicationOfAllTheirEvents) {
    start({1, 2, 3});
    hand_over({1, 2, 3});
    kafka_.report(Outcome::acknowledged);
    ASSERT_TRUE(until([&] { return lanes_.moved.size() == 3; }));
    ASSERT_EQ(lanes_.publications.size(), 1U);
    const auto& told = lanes_.publications[0];
    EXPECT_EQ(told.lanes, (std::vector<LaneId>{LaneId(1), LaneId(2), LaneId(3)}));
    EXPECT_EQ(told.first_id, EventSeq(7, 3));
    EXPECT_EQ(told.last_id, EventSeq(9, 3));
    EXPECT_EQ(told.events, 3);
}

// Else where a lane is that has no events would be far back in the log.
TEST_F(KeeperTest, LanesWithoutEventsAreNamedWithTheOthers) {
    start({1, 2});
    hand_over({1});
    kafka_.report(Outcome::acknowledged);
    ASSERT_TRUE(until([&] { return lanes_.moved.size() == 1; }));
    EXPECT_EQ(lanes_.named, (std::vector<LaneId>{LaneId(1), LaneId(2)}));
}

// Else retention would wait for the lanes to which nothing is written.
TEST_F(KeeperTest, WhereNothingIsWrittenTheCursorsAreWrittenNowAndThen) {
    limits_.idle_interval = 1ms;
    Keeper keeper{delivery_, replay_, lanes_, metrics_, wakeup_, reader_, limits_, [](auto) {}};
    lanes_.free = {1, 2};
    tasks_.spawn(keeper.run());
    ASSERT_TRUE(until([&] { return delivery_.lane_count() == 2; }));
    for (const auto lane : {LaneId(1), LaneId(2)}) delivery_.machine(lane).skip_to(snapshot(30));
    const std::vector<outbox::Snapshot> there(2, snapshot(30));
    EXPECT_TRUE(until([&] { return lanes_.cursors == there; }));
    EXPECT_TRUE(lanes_.publications.empty());
    keeper.stop(Deadline::in(1h));
    EXPECT_TRUE(ends());
}

// Ours in memory are as good as the session under which the lanes were claimed.
TEST_F(KeeperTest, WithItsSessionAllLanesAreLostAndClaimedAnew) {
    start({1});
    lanes_.free = {1};
    lanes_.breaks = true;
    delivery_.doubt();
    ASSERT_TRUE(until([&] { return delivery_.lives() == 1 && delivery_.lane_count() == 1; }));
    EXPECT_EQ(delivery_.machine(LaneId(1)).epoch(), Epoch(2));
}

TEST_F(KeeperTest, ALaneThatWeThoughtOursIsAsTheDatabaseHasIt) {
    lanes_.on_claim = [&](auto) {
        outbox::ClaimedLane ours{};
        ours.lane = LaneId(1);
        ours.epoch = Epoch(7);
        ours.cursor = snapshot(15);
        delivery_.add_lane(ours, Clock::now() + 1h);
    };
    start({1});
    ASSERT_TRUE(until([&] { return delivery_.machine(LaneId(1)).epoch() != Epoch(7); }));
    EXPECT_EQ(delivery_.machine(LaneId(1)).cursor(), snapshot(10));
}

TEST_F(KeeperTest, DoubtIsSettledAtOnceButOnlyByAStatementThatBeganAfterIt) {
    // One that is content with the first lane looks no further.
    limits_.lanes_max = 1;
    Keeper keeper{delivery_, replay_, lanes_, metrics_, wakeup_, reader_, limits_, [](auto) {}};
    lanes_.on_claim = [&](auto) { delivery_.doubt(); };
    lanes_.on_renew = [&] {
        EXPECT_TRUE(delivery_.is_in_doubt()) << "the claim began before";
        if (lanes_.renewals == 1) delivery_.doubt();
    };
    tasks_.spawn(keeper.run());
    ASSERT_TRUE(until([&] { return delivery_.lane_count() == 1 && !delivery_.is_in_doubt(); }));
    EXPECT_EQ(lanes_.renewals, 2);
    keeper.stop(Deadline::in(1h));
    EXPECT_TRUE(ends());
}

TEST_F(KeeperTest, WhatKafkaHasAcknowledgedIsWrittenBeforeTheLanesAreGivenBack) {
    start({1});
    hand_over({1});
    keeper_.stop(Deadline::in(1h));
    kafka_.report(Outcome::acknowledged);
    kafka_.give_up();
    ASSERT_TRUE(ends());
    EXPECT_EQ(lanes_.moved.size(), 1U);
    EXPECT_EQ(lanes_.releases, 1);
}

TEST_F(KeeperTest, AtTheEndNobodyWaitsForAProducerThatHasGivenUp) {
    start({1});
    hand_over({1});
    keeper_.stop(Deadline::in(1h));
    kafka_.give_up();
    wakeup_.notify();
    EXPECT_TRUE(ends());
    EXPECT_EQ(lanes_.releases, 1);
}

TEST_F(KeeperTest, AtTheEndNothingIsWaitedForThatKafkaWillNotSay) {
    start({1});
    hand_over({1});
    delivery_.fail("brokers_down", Error(Code::unavailable, "no broker"));
    keeper_.stop(Deadline::in(1h));
    EXPECT_TRUE(ends());
    EXPECT_EQ(lanes_.releases, 1);
}

TEST_F(KeeperTest, NoLaneIsPublishedBeforeAnAcknowledgementHasWorked) {
    lanes_.unproven = 2;
    lanes_.on_claim = [&](auto) { EXPECT_EQ(delivery_.lane_count(), 0U); };
    start({1});
    EXPECT_EQ(lanes_.unproven, 0);
    EXPECT_TRUE(lanes_.moved.empty()) << "the proof moves nothing";
    EXPECT_EQ(delivery_.machine(LaneId(1)).epoch(), Epoch(3));
}

TEST_F(KeeperTest, AWorkerWhoseLanesOthersHaveBlocksNothing) {
    lanes_.unproven = 1;
    lanes_.free = {1};
    lanes_.on_claim = [&](auto) {
        if (lanes_.unproven == 0) lanes_.free.clear();  // another relay was faster
    };
    tasks_.spawn(keeper_.run());
    ASSERT_TRUE(until([&] { return blockages_.contains(Blockage::cannot_acknowledge); }));
    EXPECT_TRUE(until([&] { return blockages_.current().empty(); }));
    EXPECT_EQ(delivery_.lane_count(), 0U);
}

TEST_F(KeeperTest, AWorkerWithoutLanesTellsNothingOfKafka) {
    start({1});
    hand_over({1});
    delivery_.fail("brokers_down", Error(Code::unavailable, "no broker"));
    ASSERT_TRUE(blockages_.contains(Blockage::kafka_unavailable));
    delivery_.lose_all();
    delivery_.look(Clock::now());
    EXPECT_TRUE(blockages_.current().empty());
}

// Whoever has few lanes is there: another owner without any.
outbox::Share newcomer(std::int64_t lease = 2) {
    return {.lease = lease, .lanes = 0, .want = {.lanes = 256}};
}

TEST_F(KeeperTest, ALaneIsHandedOverWhenWhatIsInFlightOfItIsWrittenAndNotBefore) {
    limits_.claim_interval = 1ms;
    limits_.leave_patience = 1h;
    Keeper keeper{delivery_, replay_, lanes_, metrics_, wakeup_, reader_, limits_, [](auto) {}};
    lanes_.free = {1, 2};
    tasks_.spawn(keeper.run());
    ASSERT_TRUE(until([&] { return delivery_.lane_count() == 2; }));
    hand_over({1, 2});
    lanes_.on_give = [&] {
        EXPECT_EQ(delivery_.lane_count(), 1U) << "a page of it may be on its way";
        EXPECT_EQ(lanes_.moved.size(), 2U) << "the next owner begins behind it";
    };
    lanes_.others = {newcomer()};
    ASSERT_TRUE(until([&] { return delivery_.is_leaving(LaneId(2)); }));
    for (const auto& [text, group] : delivery_.lanes_to_poll())
        EXPECT_EQ(group.lanes, std::vector<LaneId>({LaneId(1)})) << "nothing more is read of it";
    EXPECT_TRUE(lanes_.given.empty());
    kafka_.report(Outcome::acknowledged);
    ASSERT_TRUE(until([&] { return !lanes_.given.empty(); }));
    EXPECT_EQ(lanes_.given[0].lane, LaneId(2));
    EXPECT_EQ(lanes_.given[0].heir, 2);
    EXPECT_EQ(kafka_.producers, 1) << "no producer has to end for it";
    EXPECT_TRUE(until([&] {
        return shows("txstream_lanes_handed_over_total{direction=\"given\"} 1");
    }));
    EXPECT_TRUE(shows("txstream_lanes_lost_total{reason=\"taken_over\"} 0"));
    keeper.stop(Deadline::in(1h));
    EXPECT_TRUE(ends());
    EXPECT_EQ(lanes_.given.size(), 1U) << "it has one, and the other has one";
}

TEST_F(KeeperTest, ALaneThatDoesNotComeToItsEndGoesOnHere) {
    limits_.claim_interval = 1ms;
    limits_.leave_patience = 20ms;
    limits_.stay_times = 1'000'000;
    Keeper keeper{delivery_, replay_, lanes_, metrics_, wakeup_, reader_, limits_, [](auto) {}};
    lanes_.free = {1, 2};
    tasks_.spawn(keeper.run());
    ASSERT_TRUE(until([&] { return delivery_.lane_count() == 2; }));
    hand_over({1, 2});
    lanes_.others = {newcomer()};
    ASSERT_TRUE(until([&] { return delivery_.is_leaving(LaneId(2)); }));
    ASSERT_TRUE(until([&] { return delivery_.is_leaving(LaneId(1)); })) << "perhaps another";
    ASSERT_TRUE(until([&] {
        return !delivery_.is_leaving(LaneId(1)) && !delivery_.is_leaving(LaneId(2));
    }));
    EXPECT_TRUE(lanes_.given.empty());
    keeper.stop(Deadline::in(0ms));
    EXPECT_TRUE(ends());
}

TEST_F(KeeperTest, BeforeAPositionCouldBeWrittenOneLaneIsAskedForAndThenAll) {
    limits_.claim_interval = 1ms;
    lanes_.on_claim = [&](auto) { EXPECT_EQ(lanes_.wanted->lanes, delivery_.lane_count() + 1); };
    Keeper keeper{delivery_, replay_, lanes_, metrics_, wakeup_, reader_, limits_, [](auto) {}};
    lanes_.free = {1};
    tasks_.spawn(keeper.run());
    ASSERT_TRUE(until([&] { return delivery_.lane_count() == 1; }));
    EXPECT_TRUE(until([&] { return lanes_.wanted->lanes == limits_.lanes_max; }));
    keeper.stop(Deadline::in(1h));
    EXPECT_TRUE(ends());
}

TEST_F(KeeperTest, OnlyItsShareOfTheLanesWithoutAnOwnerIsClaimed) {
    limits_.claim_interval = 1ms;
    limits_.unowned_patience = 1h;
    std::size_t most = 0;
    lanes_.on_claim = [&](std::size_t limit) { most = std::max(most, limit); };
    lanes_.others = {newcomer(), newcomer(3)};
    std::size_t target = 0;
    Keeper
        keeper{delivery_, replay_, lanes_, metrics_, wakeup_, reader_, limits_, [&](auto status) {
                   target = status.target;
               }};
    lanes_.free = {1, 2, 3, 4, 5, 6};
    lanes_.unproven = 3;  // what is claimed and did not become known is claimed again
    tasks_.spawn(keeper.run());
    ASSERT_TRUE(until([&] { return delivery_.lane_count() > 0; }));
    EXPECT_LE(most, 2U);
    EXPECT_TRUE(until([&] { return target == 2; })) << "a third of six, and that is told";
    keeper.stop(Deadline::in(1h));
    EXPECT_TRUE(ends());
}

TEST_F(KeeperTest, LanesThatOthersLeaveAloneAreClaimedAfterAWhile) {
    limits_.claim_interval = 1ms;
    limits_.unowned_patience = 5ms;
    std::size_t most = 0;
    lanes_.on_claim = [&](std::size_t limit) {
        most = std::max(most, limit);
        lanes_.unproven = most < 6 ? 1 : 0;  // they stay free
    };
    lanes_.others = {newcomer(), newcomer(3)};
    Keeper keeper{delivery_, replay_, lanes_, metrics_, wakeup_, reader_, limits_, [](auto) {}};
    lanes_.free = {1, 2, 3, 4, 5, 6};
    tasks_.spawn(keeper.run());
    EXPECT_TRUE(until([&] { return most == 6; }));
    keeper.stop(Deadline::in(1h));
    EXPECT_TRUE(ends());
}

TEST_F(KeeperTest, WhatCannotBeParkedWholeIsParkedBareAndItsKeyIsHeld) {
    start({1});
    lanes_.cannot_park = {{1, false}};
    kafka_.refuses = Error(Code::rejected, "too large", "MSG_SIZE_TOO_LARGE");
    hand_over({1});
    ASSERT_TRUE(until([&] { return lanes_.parked.size() == 1; }));
    EXPECT_NE(lanes_.parked[0].error.find("a trigger says no"), std::string::npos);
    EXPECT_EQ(lanes_.refused_parks, 1);
}

TEST_F(KeeperTest, ALaneWhoseEventCannotBeParkedHoldsUpNoOther) {
    start({1, 2, 3});
    lanes_.cannot_park = {{3, true}};
    kafka_.refuses = Error(Code::rejected, "too large", "MSG_SIZE_TOO_LARGE");
    hand_over({1, 2, 3});
    ASSERT_TRUE(until([&] { return lanes_.parked.size() == 2; }));
    EXPECT_FALSE(delivery_.is_acknowledging()) << "what waits keeps nobody from going back";
    kafka_.refuses.reset();
    hand_over({1, 2}, 30);
    kafka_.report(Outcome::acknowledged);
    ASSERT_TRUE(until([&] { return lanes_.moved.size() == 4; }));
    const auto refused = lanes_.refused_parks;
    lanes_.cannot_park.clear();
    ASSERT_TRUE(until([&] { return lanes_.parked.size() == 3; }));
    EXPECT_LE(lanes_.refused_parks, refused + 2);
    EXPECT_TRUE(delivery_.is_idle());
}

TEST_F(KeeperTest, AtTheEndNothingIsWaitedForThatCannotBeParked) {
    start({1});
    lanes_.cannot_park = {{1, true}};
    kafka_.refuses = Error(Code::rejected, "too large", "MSG_SIZE_TOO_LARGE");
    hand_over({1});
    ASSERT_TRUE(until([&] { return lanes_.refused_parks > 0; }));
    keeper_.stop(Deadline::in(1h));
    EXPECT_TRUE(ends());
    EXPECT_EQ(lanes_.releases, 1);
}

}  // namespace
}  // namespace txstream::relay
