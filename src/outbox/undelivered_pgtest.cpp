#include "outbox/event_row.hpp"
#include "outbox/instance.hpp"
#include "outbox/undelivered.hpp"
#include "tests/support/outbox_database.hpp"

#include <cstdio>
#include <cstdlib>
#include <random>

namespace txstream::outbox {
namespace {

using tests::must;
using tests::soon;

/// As the command asks: under the rights of readers, on indexes alone.
class UndeliveredPgTest : public tests::OutboxTest {
protected:
    Mark mark() { return must(wait(mark_now(*reader_, soon()))); }
    Undelivered read(const Mark& mark, std::size_t counted_max = 100'000) {
        return must(wait(read_undelivered(*reader_, mark, counted_max, soon())));
    }
    void publish(const std::string& key, int count = 1) {
        script(
            *superuser_,
            "SELECT txstream.publish('T', '" + key + "', 'E', '{}') FROM generate_series(1, " +
                std::to_string(count) + ")"
        );
    }
    /// All lanes where the condition holds are published up to now.
    void deliver(const std::string& where = "true") {
        script(
            *superuser_, "UPDATE txstream.lanes SET cursor = pg_current_snapshot() WHERE " + where
        );
    }
    int below(int end) { return std::uniform_int_distribution<int>(0, end - 1)(random_); }

    const unsigned seed_ = [] {
        const char* given = std::getenv("TXS_TEST_SEED");
        return given ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
    }();
    std::mt19937 random_{seed_};
    std::unique_ptr<pg::Connection> reader_ =
        connect(std::string("SET ROLE txstream_reader; ") + kConsoleSettings);
};

TEST_F(UndeliveredPgTest, OnlyWhatWasCommittedBeforeTheMarkIsWaitedFor) {
    const auto slow = connect();
    script(*slow, "BEGIN; SELECT txstream.publish('T', 'a', 'E', '{}')");
    publish("a", 3);
    const auto asked = mark();
    publish("a", 5);
    script(*slow, "COMMIT");
    auto left = read(asked);
    ASSERT_EQ(left.lanes.size(), 1U);
    EXPECT_EQ(
        std::to_string(left.lanes[0].lane.value()), one("SELECT txstream.lane_of('a')::text")
    );
    EXPECT_EQ(left.events(), 3U);
    EXPECT_TRUE(left.is_exact);
    EXPECT_EQ(read(mark()).events(), 9U);
    deliver("lane <> txstream.lane_of('a')");
    EXPECT_EQ(read(asked).events(), 3U);
    deliver();
    EXPECT_TRUE(read(asked).is_nothing());
    EXPECT_TRUE(read(mark()).is_nothing());
}

// Its own lane is far behind, and all that was published since belongs to others.
TEST_F(UndeliveredPgTest, ALaneFarBehindOthersIsFoundWhateverIsCounted) {
    publish("b", 500);
    deliver("lane <> txstream.lane_of('a')");
    publish("a");
    publish("b", 500);
    deliver("lane <> txstream.lane_of('a')");
    const auto asked = mark();
    EXPECT_EQ(read(asked, 1).events(), 1U);
    deliver("lane = txstream.lane_of('a')");
    EXPECT_TRUE(read(asked, 1).is_nothing());
    publish("b", 20);
    const auto some = read(mark(), 7);
    EXPECT_EQ(some.events(), 7U);
    EXPECT_FALSE(some.is_exact);
}

TEST_F(UndeliveredPgTest, WhatIsParkedIsSettledAndCounted) {
    publish("a", 2);
    script(
        *superuser_,
        "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type, aggregate_id,"
        " event_type, key, content_type, created_at, attempts, error_class, error) SELECT id, xid,"
        " event_id, lane, aggregate_type, aggregate_id, event_type, aggregate_id, content_type,"
        " created_at, 1, 'held', '' FROM txstream.outbox"
    );
    deliver();
    const auto asked = mark();
    publish("c");
    script(
        *superuser_,
        "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type, aggregate_id,"
        " event_type, key, content_type, created_at, attempts, error_class, error) SELECT id, xid,"
        " event_id, lane, aggregate_type, aggregate_id, event_type, aggregate_id, content_type,"
        " created_at, 1, 'held', '' FROM txstream.outbox WHERE aggregate_id = 'c'"
    );
    const auto left = read(asked);
    EXPECT_TRUE(left.is_nothing());
    EXPECT_EQ(left.parked, 2U) << "without the one that came later";
    EXPECT_TRUE(left.is_parked_exact);
    EXPECT_EQ(read(asked, 1).parked, 1U);
    EXPECT_FALSE(read(asked, 1).is_parked_exact);
    script(*superuser_, "UPDATE txstream.dead_letters SET state = 'discarded'");
    EXPECT_EQ(read(asked).parked, 0U);
}

TEST_F(UndeliveredPgTest, InACopyOfTheDatabaseNothingCanBeSaid) {
    publish("a");
    script(*superuser_, "UPDATE txstream.instance SET system_identifier = 1");
    const auto asked = wait(mark_now(*superuser_, soon()));
    ASSERT_FALSE(asked);
    EXPECT_EQ(asked.error().origin(), kForeignInstance);
}

// Aim: each way in which an event can lie before or behind a position and a mark. Method: lanes at
// random snapshots and places of windows, transactions that overlap, ids given twice; the same
// question as a join of all events with all positions.
TEST_F(UndeliveredPgTest, WhatIsLeftIsWhatALookAtEveryEventFinds) {
    std::printf("TXS_TEST_SEED=%u\n", seed_);
    const auto other = connect();
    const auto third = connect();
    std::vector<Mark> marks;
    for (int i = 0; i < 25; ++i) {
        for (auto* session : {other.get(), third.get(), superuser_.get()}) {
            if (below(3) == 0) script(*session, session->in_transaction() ? "COMMIT" : "BEGIN");
            for (int n = below(6); n >= 0; --n)
                script(
                    *session,
                    "SELECT txstream.publish('T', 'a" + std::to_string(below(12)) + "', 'E', '{}')"
                );
        }
        marks.push_back(mark());
        if (i == 15 || i == 24)
            for (auto* session : {other.get(), third.get(), superuser_.get()})
                if (session->in_transaction()) script(*session, "COMMIT");
        if (i == 15)
            script(
                *superuser_, "SELECT setval(pg_get_serial_sequence('txstream.outbox', 'id'), 40)"
            );
    }
    for (int lane = 0; lane < 32; ++lane) {
        const auto at = static_cast<std::size_t>(below(static_cast<int>(marks.size()) - 5));
        const auto number = std::to_string(lane);
        script(
            *superuser_,
            "UPDATE txstream.lanes SET cursor = '" + marks[at].snapshot.text() +
                "' WHERE lane = " + number
        );
        if (below(2) == 0) continue;
        script(
            *superuser_,
            "UPDATE txstream.lanes l SET target = '" + marks[at + 4].snapshot.text() +
                "', (last_id, last_xid) = (SELECT id, xid FROM txstream.outbox WHERE lane = " +
                number + " ORDER BY random() LIMIT 1) WHERE lane = " + number +
                " AND EXISTS (SELECT FROM txstream.outbox o WHERE o.lane = l.lane)"
        );
    }
    marks.push_back(mark());
    for (const auto& asked : marks) {
        const auto expected = rows(
            "SELECT o.lane || ': ' || count(*) FROM txstream.outbox o JOIN txstream.lane_positions "
            "l USING (lane) WHERE pg_visible_in_snapshot(o.xid, '" +
            asked.snapshot.text() +
            "') AND NOT pg_visible_in_snapshot(o.xid, l.cursor) AND NOT coalesce("
            "pg_visible_in_snapshot(o.xid, l.target) AND (o.id, o.xid) <= (l.last_id, l.last_xid),"
            " false) GROUP BY o.lane ORDER BY o.lane"
        );
        std::vector<std::string> found;
        for (const auto& lane : read(asked).lanes)
            found.push_back(std::to_string(lane.lane.value()) + ": " + std::to_string(lane.events));
        EXPECT_EQ(found, expected) << asked.snapshot.text();
    }
}

}  // namespace
}  // namespace txstream::outbox
