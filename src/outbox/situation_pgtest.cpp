#include "outbox/situation.hpp"
#include "tests/support/outbox_database.hpp"

namespace txstream::outbox {
namespace {

using namespace std::chrono_literals;
using tests::must;
using tests::soon;

class SituationPgTest : public tests::OutboxTest {
protected:
    Situation situation() { return must(wait(read_situation(*reader_, soon()))); }
    Waiting waiting(std::vector<LaneId> lanes, std::int64_t events_max = 100) {
        return must(wait(count_waiting(*reader_, lanes, events_max, soon())));
    }
    static std::vector<LaneId> all_lanes() {
        std::vector<LaneId> lanes;
        for (std::int16_t lane = 0; lane < 32; ++lane) lanes.emplace_back(lane);
        return lanes;
    }
    void publish(const std::string& key, int times = 1) {
        script(
            *superuser_,
            "SELECT txstream.publish('T', '" + key + "', 'E', '{}') FROM generate_series(1, " +
                std::to_string(times) + ")"
        );
    }
    LaneId lane_of(const std::string& key) {
        return LaneId(static_cast<std::int16_t>(
            std::stoi(one("SELECT txstream.lane_of('" + key + "')::text"))
        ));
    }

    std::unique_ptr<pg::Connection> reader_ =
        connect("SET default_transaction_read_only = on; SET ROLE txstream_reader");
};

TEST_F(SituationPgTest, OwnersCountWhileTheirLeasesLast) {
    const auto none = situation();
    EXPECT_EQ(none.lanes, 32);
    EXPECT_EQ(none.lanes_owned, 0);
    EXPECT_FALSE(none.was_ever_owned);
    EXPECT_FALSE(none.newest_event_at);
    EXPECT_FALSE(none.is_read_only) << "only this session is";
    EXPECT_FALSE(none.is_foreign);
    give_lanes("a/1", "lane < 8");
    give_lanes("a/2", "lane >= 8", "-7 s");
    publish("k");
    const auto some = situation();
    EXPECT_EQ(some.lanes_owned, 8);
    EXPECT_TRUE(some.was_ever_owned);
    ASSERT_TRUE(some.unowned_since);
    EXPECT_GE(some.now - *some.unowned_since, 7s);
    EXPECT_TRUE(some.newest_event_at);
}

TEST_F(SituationPgTest, ARefusedInstanceIsSeen) {
    EXPECT_FALSE(situation().is_foreign);
    script(
        *superuser_,
        "UPDATE txstream.instance SET refused_at = now(), refused_why = 'it was copied'"
    );
    EXPECT_TRUE(situation().is_foreign);
    EXPECT_EQ(situation().refused_why, "it was copied");
}

// New sessions are refused before there is a situation to read.
TEST_F(SituationPgTest, ADatabaseThatTakesNoWritesIsKnownByItsRefusal) {
    // The session's own setting, under which the console reads, says nothing of the database.
    EXPECT_FALSE(situation().is_read_only);
    script(
        *superuser_,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on',"
        " current_database()); END $$"
    );
    const auto refused =
        wait(pg::Connection::open(io_.get_executor(), database_.conninfo(), {}, soon()));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().origin(), "25006");
}

TEST_F(SituationPgTest, OfARoleWithoutRightsItsNameIsKnown) {
    const auto writer = connect("SET ROLE txstream_writer");
    const auto refused = wait(read_situation(*writer, soon()));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().origin(), "42501");
    EXPECT_EQ(must(wait(role_of(*writer, soon()))), "txstream_writer");
}

TEST_F(SituationPgTest, WhatWaitsIsCountedByEventsAndKeysUpToALimit) {
    EXPECT_EQ(waiting(all_lanes()).events, 0U);
    publish("a", 3);
    publish("b", 2);
    EXPECT_EQ(waiting(all_lanes()).events, 5U);
    EXPECT_EQ(waiting(all_lanes()).keys, 2U);
    EXPECT_TRUE(waiting(all_lanes()).is_exact);
    ASSERT_NE(lane_of("a"), lane_of("b"));
    EXPECT_EQ(waiting({lane_of("a")}).events, 3U);
    EXPECT_EQ(waiting({lane_of("a")}, 2).events, 2U);
    EXPECT_FALSE(waiting({lane_of("a")}, 2).is_exact);
    EXPECT_EQ(waiting({}).events, 0U);
    // Published up to here, but for a transaction that was still open.
    const auto slow = connect();
    script(*slow, "BEGIN; SELECT txstream.publish('T', 'a', 'E', '{}')");
    publish("a");
    script(*superuser_, "UPDATE txstream.lanes SET cursor = pg_current_snapshot()");
    script(*slow, "COMMIT");
    publish("a", 2);
    EXPECT_EQ(waiting(all_lanes()).events, 3U);
    // Of a lane that is being paged what lies behind its page.
    script(
        *superuser_,
        "UPDATE txstream.lanes SET target = pg_current_snapshot(), (last_id, last_xid) = (SELECT "
        "id, xid"
        " FROM txstream.outbox ORDER BY id DESC LIMIT 1 OFFSET 1) WHERE lane = "
        "txstream.lane_of('a')"
    );
    EXPECT_EQ(waiting({lane_of("a")}).events, 1U);
}

TEST_F(SituationPgTest, DeadLettersAndLanesAreReadAsTheTablesHaveThem) {
    publish("a");
    publish("b");
    script(
        *superuser_,
        "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type, aggregate_id,"
        " event_type, key, content_type, created_at, attempts, error_class, error, last_attempt_at)"
        " SELECT id, xid, event_id, lane, aggregate_type, aggregate_id, event_type, aggregate_id,"
        " content_type, created_at, 1, CASE WHEN aggregate_id = 'a' THEN 'OLD' ELSE 'NEW' END, 'x',"
        " now() - CASE WHEN aggregate_id = 'a' THEN interval '1 hour' ELSE '0' END FROM "
        "txstream.outbox"
    );
    const auto parked = must(wait(read_parked(*reader_, 100, soon())));
    ASSERT_EQ(parked.classes.size(), 2U);
    EXPECT_TRUE(parked.is_exact);
    EXPECT_EQ(parked.classes[0].error_class, "NEW");
    EXPECT_EQ(parked.classes[0].recent, 1U);
    EXPECT_EQ(parked.classes[1].recent, 0U);
    EXPECT_FALSE(must(wait(read_parked(*reader_, 1, soon()))).is_exact);
    give_lanes("x/2", "lane = 3");
    script(
        *superuser_,
        "UPDATE txstream.lanes SET epoch = 5, published = 7, target = cursor WHERE lane = 3"
    );
    const auto lanes = must(wait(read_lanes(*reader_, 100, soon())));
    ASSERT_EQ(lanes.size(), 32U);
    EXPECT_EQ(lanes[3].owner, "x/2");
    EXPECT_TRUE(lanes[3].is_owned && lanes[3].target.has_value());
    EXPECT_EQ(lanes[3].published, 7);
    EXPECT_FALSE(lanes[4].owner);
    EXPECT_EQ(lanes[static_cast<std::size_t>(lane_of("a").value())].held_keys, 1);
    script(*superuser_, "UPDATE txstream.dead_letters SET state = 'discarded'");
    EXPECT_TRUE(must(wait(read_parked(*reader_, 100, soon()))).classes.empty());
}

TEST_F(SituationPgTest, WhoLocksATableIsSeenWithoutWaitingForIt) {
    EXPECT_TRUE(must(wait(read_locks(*reader_, soon()))).locks.empty());
    const auto other = connect("SET application_name = 'a tool'");
    script(*other, "BEGIN; LOCK TABLE txstream.positions, txstream.members");
    const auto found = must(wait(read_locks(*superuser_, soon())));
    ASSERT_EQ(found.locks.size(), 2U) << "partitions stand for their table";
    EXPECT_EQ(found.locks[0].table, "txstream.members");
    EXPECT_EQ(found.locks[1].table, "txstream.positions");
    EXPECT_EQ(found.locks[1].application, "a tool");
    EXPECT_TRUE(found.locks[1].since);
    EXPECT_GT(found.locks[1].pid, 0);
    EXPECT_EQ(must(wait(read_locks(*reader_, soon()))).locks.size(), 2U) << "whoever asks";
    script(*other, "ROLLBACK; BEGIN; LOCK TABLE txstream.positions IN EXCLUSIVE MODE");
    EXPECT_TRUE(must(wait(read_locks(*superuser_, soon()))).locks.empty()) << "it can be read";
    script(*other, "ROLLBACK");
}

}  // namespace
}  // namespace txstream::outbox
