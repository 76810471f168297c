#include "outbox/backlog.hpp"
#include "outbox/situation.hpp"
#include "tests/support/outbox_database.hpp"

#include <cstdio>
#include <random>

namespace txstream::outbox {
namespace {

using tests::must;
using tests::soon;

class BacklogPgTest : public tests::OutboxTest {
protected:
    static std::string publish() { return "SELECT txstream.publish('T', 'k', 'E', '{}')"; }
    std::string snapshot() { return one("SELECT pg_current_snapshot()::text"); }
    /// The time of the event of this place, as the backlog tells it.
    double time_of(int place) {
        return std::stod(
            one("SELECT extract(epoch FROM created_at)::text FROM txstream.outbox ORDER BY id"
                " LIMIT 1 OFFSET " +
                std::to_string(place))
        );
    }
    Backlog measured() { return must(wait(meter_.measure(*superuser_, soon()))); }

    BacklogMeter meter_;
};

constexpr double kMicrosecond = 1e-6;

TEST_F(BacklogPgTest, OfALaneThatIsBeingPagedWaitsWhatLiesBehindItsPage) {
    const auto before = snapshot();
    for (int i = 0; i < 5; ++i) script(*superuser_, publish());
    script(
        *superuser_,
        "UPDATE txstream.lanes SET cursor = '" + before + "', target = '" + snapshot() +
            "', published = 3, (last_id, last_xid) = (SELECT id, xid FROM txstream.outbox ORDER BY "
            "id OFFSET 2 LIMIT 1)"
            " WHERE lane = txstream.lane_of('k')"
    );
    const auto backlog = measured();
    EXPECT_EQ(backlog.pending, 2U);
    EXPECT_NEAR(backlog.oldest_pending, time_of(3), kMicrosecond);
}

TEST_F(BacklogPgTest, TheOldestIsOfASlowTransactionThatTheCursorDoesNotKnow) {
    const auto slow = connect();
    script(*slow, "BEGIN; " + publish());
    script(*superuser_, publish());  // or the slow one would be of those that the cursor ends at
    script(*superuser_, "UPDATE txstream.lanes SET cursor = pg_current_snapshot()");
    script(*slow, "COMMIT");
    EXPECT_NEAR(measured().oldest_pending, time_of(0), kMicrosecond);
    script(*superuser_, publish());
    const auto both = measured();
    EXPECT_EQ(both.pending, 2U);
    EXPECT_NEAR(both.oldest_pending, time_of(0), kMicrosecond);
}

TEST_F(BacklogPgTest, AWritersClockDoesNotMoveTheOldest) {
    for (const char* time :
         {"infinity",
          "-infinity",
          "4713-01-01 BC",
          "0001-01-01",
          "294276-12-31",
          "2 hours from now",
          "a year ago"}) {
        script(
            *superuser_, "UPDATE txstream.lanes SET cursor = pg_current_snapshot(), published = 0"
        );
        meter_.forget();
        const std::string text = time;
        const auto created_at = text == "2 hours from now" ? "now() + interval '2 hours'"
                                : text == "a year ago"     ? "now() - interval '1 year'"
                                                           : "'" + text + "'::timestamptz";
        script(
            *superuser_,
            "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload,"
            " created_at) VALUES ('T', 'k', 'E', '{}', " +
                std::string(created_at) + ")"
        );
        const auto before = std::stod(one("SELECT extract(epoch FROM now())::text"));
        EXPECT_NEAR(measured().oldest_pending, before, 60) << time;
    }
}

TEST_F(BacklogPgTest, AnEventOfWrongTimeThatIsStuckGrowsOld) {
    script(
        *superuser_,
        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload, "
        "created_at)"
        " VALUES ('T', 'k', 'E', '{}', 'infinity')"
    );
    const auto first = measured().oldest_pending;
    EXPECT_GT(first, 0);
    EXPECT_DOUBLE_EQ(measured().oldest_pending, first) << "nothing was published in between";
    script(*superuser_, publish());
    script(*superuser_, "UPDATE txstream.lanes SET published = 1 WHERE lane = 0");
    EXPECT_GT(measured().oldest_pending, first);
}

TEST_F(BacklogPgTest, TheAgeOfTheOldestIsByTheServersClockAndOnlyWhereItsTimeCanBeTrue) {
    const auto age = [&] { return must(wait(oldest_pending_age(*superuser_, soon()))); };
    const auto insert = [&](const char* created_at) {
        script(
            *superuser_,
            "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload,"
            " created_at) VALUES ('T', 'k', 'E', '{}', " +
                std::string(created_at) + ")"
        );
    };
    EXPECT_EQ(age(), std::nullopt);
    insert("now() - interval '42 seconds'");
    EXPECT_GE(age(), std::chrono::seconds(42));
    EXPECT_LT(age(), std::chrono::seconds(100));
    script(*superuser_, "UPDATE txstream.lanes SET cursor = pg_current_snapshot()");
    EXPECT_EQ(age(), std::nullopt);
    insert("'infinity'");
    EXPECT_EQ(age(), std::nullopt);
}

// A crash of the server, a restore or somebody's SQL may move cursors and their counters.
TEST_F(BacklogPgTest, WhenMoreIsSettledThanWasSeenItCountsAnew) {
    for (int i = 0; i < 3; ++i) script(*superuser_, publish());
    EXPECT_EQ(measured().pending, 3U);
    script(*superuser_, "UPDATE txstream.lanes SET published = 10 WHERE lane = 0");
    EXPECT_EQ(measured().pending, 3U);
    script(*superuser_, publish());
    EXPECT_EQ(measured().pending, 4U);
}

TEST_F(BacklogPgTest, WhatIsParkedCountsUntilItIsOver) {
    for (const char* state : {"parked", "replaying", "replayed", "discarded"}) {
        script(
            *superuser_,
            publish() +
                "; INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type,"
                " aggregate_id, event_type, key, content_type, created_at, state, attempts,"
                " error_class, error) SELECT id, xid, event_id, lane, 'T', 'k', 'E', 'k', '',"
                " created_at, '" +
                state + "', 1, 'X', 'x' FROM txstream.outbox ORDER BY id DESC LIMIT 1"
        );
    }
    const auto backlog = measured();
    EXPECT_EQ(backlog.parked, 2U);
    ASSERT_EQ(backlog.parked_by_event_type.size(), 1U);
    EXPECT_EQ(backlog.parked_by_event_type[0].first, "E");
    EXPECT_EQ(backlog.parked_by_event_type[0].second, 2U);
}

// A position is the cursor, the target and the last event; lanes may each have another one.
TEST_F(BacklogPgTest, LanesAtAnyPositionsAreCountedAsTheViewTellsThem) {
    const char* given = std::getenv("TXS_TEST_SEED");
    const auto seed = given ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
    std::printf("TXS_TEST_SEED=%u\n", seed);
    std::mt19937 random(seed);
    const auto below = [&](std::size_t end) {
        return std::uniform_int_distribution<std::size_t>(0, end - 1)(random);
    };
    std::vector<std::unique_ptr<pg::Connection>> writers;
    while (writers.size() < 3) writers.push_back(connect());
    std::vector<std::string> snapshots;
    for (int i = 0; i < 60; ++i) {
        auto& writer = *writers[below(3)];
        if (below(2) == 0) script(writer, writer.in_transaction() ? "COMMIT" : "BEGIN");
        script(
            writer,
            "SELECT txstream.publish('T', 'k' || n % 40, 'E', '{}') FROM generate_series(" +
                std::to_string(below(40)) + ", " + std::to_string(below(80)) + ") n"
        );
        snapshots.push_back(snapshot());
    }
    for (auto& writer : writers)
        if (writer->in_transaction()) script(*writer, "COMMIT");
    // Positions that some lanes share, and windows in which lanes are at different events.
    for (int lane = 0; lane < 32; ++lane) {
        const auto at = below(5) * 10;
        const auto number = std::to_string(lane);
        script(
            *superuser_,
            "UPDATE txstream.lanes SET cursor = '" + snapshots[at] + "'" +
                (below(2) == 0 ? ""
                               : ", target = '" + snapshots[at + 5 + below(2) * 4] +
                                     "', (last_id, last_xid) = (SELECT id, xid FROM"
                                     " txstream.outbox ORDER BY random() LIMIT 1)") +
                " WHERE lane = " + number
        );
    }
    std::vector<std::uint64_t> expected;
    for (const auto& count : rows("SELECT count(e.id)::text FROM txstream.lanes l LEFT JOIN"
                                  " txstream.events e ON e.lane = l.lane AND e.status = 'pending'"
                                  " GROUP BY l.lane ORDER BY l.lane"))
        expected.push_back(std::stoull(count));
    const auto backlog = measured();
    EXPECT_FALSE(backlog.is_estimate);
    EXPECT_EQ(backlog.pending_by_lane, expected);
    std::vector<LaneId> lanes;
    for (std::int16_t lane = 0; lane < 32; ++lane) lanes.emplace_back(lane);
    const auto waiting = must(wait(count_waiting(*superuser_, lanes, 10'000, soon())));
    EXPECT_TRUE(waiting.is_exact);
    EXPECT_EQ(waiting.events, backlog.pending);
    EXPECT_EQ(
        std::to_string(waiting.keys),
        one("SELECT count(DISTINCT aggregate_id)::text FROM txstream.events WHERE"
            " status = 'pending'")
    );
}

class LargeBacklogPgTest : public BacklogPgTest {
protected:
    static constexpr int kEvents = 20'000;

    void SetUp() override {
        BacklogPgTest::SetUp();
        script(
            *superuser_,
            "SELECT txstream.publish('T', 'k' || n, 'E', '{}') FROM generate_series(1, " +
                std::to_string(kEvents) + ") n"
        );
    }
    /// As a relay would while it pages through all of it, `published` events behind its begin.
    void page_all(const std::string& cursor, int published) {
        script(
            *superuser_,
            "UPDATE txstream.lanes l SET cursor = '" + cursor +
                "', target = pg_current_snapshot(), published = w.n, last_id = " +
                std::to_string(published) +
                ", last_xid = (SELECT xid FROM txstream.outbox WHERE id = " +
                std::to_string(published) +
                ") FROM (SELECT lane, count(*) AS n FROM txstream.outbox WHERE id <= " +
                std::to_string(published) + " GROUP BY lane) w WHERE w.lane = l.lane"
        );
    }

    const std::string before_ = one("SELECT cursor::text FROM txstream.lanes LIMIT 1");
    /// 32 or 8 lanes: some hundred events of each are counted.
    BacklogMeter::Limits few_{.counted_max = 3200, .estimate_age = std::chrono::hours(1)};
};

TEST_F(LargeBacklogPgTest, WhatIsNotCountedIsEstimated) {
    BacklogMeter meter(few_);
    const auto all = must(wait(meter.measure(*superuser_, soon())));
    EXPECT_TRUE(all.is_estimate);
    EXPECT_NEAR(static_cast<double>(all.pending), kEvents, kEvents * 0.2);
    page_all(before_, kEvents / 2);
    meter.forget();
    const auto half = must(wait(meter.measure(*superuser_, soon())));
    EXPECT_TRUE(half.is_estimate);
    EXPECT_NEAR(static_cast<double>(half.pending), kEvents / 2.0, kEvents * 0.1);
    EXPECT_EQ(half.settled, kEvents / 2);
}

TEST_F(LargeBacklogPgTest, WhatCanBeCountedIsExactAndSumsUpOverTheLanes) {
    const auto all = measured();
    EXPECT_FALSE(all.is_estimate);
    EXPECT_EQ(all.pending, std::uint64_t{kEvents});
    std::uint64_t sum = 0;
    for (const auto lane : all.pending_by_lane) sum += lane;
    EXPECT_EQ(sum, all.pending);
    page_all(before_, kEvents - 7);
    EXPECT_EQ(measured().pending, 7U);
    meter_.forget();
    EXPECT_EQ(measured().pending, 7U);
}

TEST_F(LargeBacklogPgTest, AnEstimateGivesWayToACountWhenItIsOldOrTooLow) {
    few_.estimate_age = std::chrono::milliseconds(0);
    BacklogMeter meter(few_);
    EXPECT_TRUE(must(wait(meter.measure(*superuser_, soon()))).is_estimate);
    page_all(before_, kEvents - 7);
    const auto rest = must(wait(meter.measure(*superuser_, soon())));
    EXPECT_FALSE(rest.is_estimate);
    EXPECT_EQ(rest.pending, 7U);
}

TEST_F(LargeBacklogPgTest, WhatComesLateBehindAPageIsCounted) {
    const auto slow = connect();
    script(*slow, "BEGIN; " + publish());
    script(*superuser_, publish());
    page_all(before_, kEvents + 2);
    script(*slow, "COMMIT");
    EXPECT_EQ(measured().pending, 1U);
}

TEST_F(LargeBacklogPgTest, WhatWasEverCommittedIsCountedAcrossSessionsAndWhileTheRestIsAnEstimate) {
    BacklogMeter meter(few_);
    const auto estimate = must(wait(meter.measure(*superuser_, soon())));
    for (int i = 0; i < 3; ++i) script(*superuser_, publish());
    EXPECT_EQ(must(wait(meter.measure(*superuser_, soon()))).appended, estimate.appended + 3);
    EXPECT_EQ(measured().appended, kEvents + 3);
    meter_.forget();
    script(*superuser_, publish());
    EXPECT_EQ(measured().appended, kEvents + 4);
    page_all(before_, kEvents);
    EXPECT_EQ(measured().appended, kEvents + 4) << "published or not";
}

TEST_F(BacklogPgTest, ParkedEventsBeyondTheLimitAreCountedInProportion) {
    script(
        *superuser_,
        "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type, aggregate_id,"
        " event_type, key, content_type, created_at, attempts, error_class, error)"
        " SELECT n, '3', gen_random_uuid(), 0, 'T', 'k', 'E', 'k', '', now(), 1, 'X', 'x'"
        " FROM generate_series(1, 5000) n; ANALYZE txstream.dead_letters"
    );
    BacklogMeter meter({.parked_counted_max = 100});
    EXPECT_NEAR(
        static_cast<double>(must(wait(meter.measure(*superuser_, soon()))).parked), 5000, 50
    );
}

TEST_F(BacklogPgTest, TheSizesAreOfAllPartitionsAndOfTheOldest) {
    const auto empty = must(wait(table_sizes(*superuser_, soon())));
    EXPECT_EQ(empty.partitions, 2U);
    script(
        *superuser_,
        "SELECT txstream.publish('T', 'k', 'E', json_build_object('x', repeat('x', 1000)))"
        " FROM generate_series(1, 500)"
    );
    const auto sizes = must(wait(table_sizes(*superuser_, soon())));
    EXPECT_GT(sizes.oldest_partition_bytes, empty.oldest_partition_bytes) << "the one with a floor";
    EXPECT_GT(sizes.outbox_bytes, sizes.oldest_partition_bytes);
    EXPECT_GT(sizes.dead_letters_bytes, 0U);
    EXPECT_GT(sizes.positions_bytes, 0U);
    EXPECT_EQ(sizes.positions_appended, 0U);
    script(
        *superuser_,
        "INSERT INTO txstream.positions (lease, lanes, active, cursor, since) SELECT 1, '{0}', 0,"
        " pg_current_snapshot(), pg_current_snapshot() FROM generate_series(1, 1000);"
        "DELETE FROM txstream.positions WHERE id < 900"
    );
    const auto later = must(wait(table_sizes(*superuser_, soon())));
    EXPECT_GT(later.positions_bytes, sizes.positions_bytes);
    EXPECT_EQ(later.positions_appended, 1000U) << "merged ones too";
}

TEST_F(BacklogPgTest, APositionGrowsOldOnlyWhileEventsOfItsLaneWait) {
    EXPECT_EQ(measured().position_age, 0) << "nothing waits";
    script(*superuser_, publish());
    script(*superuser_, "SELECT pg_sleep(0.02)");
    const auto stuck = measured().position_age;
    EXPECT_GE(stuck, 0.02);
    // Others move, and a new session counts all again.
    script(
        *superuser_, "UPDATE txstream.lanes SET published = 1 WHERE lane <> txstream.lane_of('k')"
    );
    meter_.forget();
    EXPECT_GT(measured().position_age, stuck);
    script(*superuser_, publish());
    script(
        *superuser_, "UPDATE txstream.lanes SET published = 1 WHERE lane = txstream.lane_of('k')"
    );
    const auto moved = measured();
    EXPECT_EQ(moved.position_age, 0) << "it moved";
    EXPECT_GT(moved.pending, 0U);
}

}  // namespace
}  // namespace txstream::outbox
