#include "outbox/backlog.hpp"
#include "tests/support/outbox_database.hpp"

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

}  // namespace
}  // namespace txstream::outbox
