#include "outbox/append.hpp"
#include "outbox/backlog.hpp"
#include "outbox/event_log.hpp"
#include "tests/support/outbox_database.hpp"

namespace txstream::outbox {
namespace {

using tests::must;
using tests::soon;

class SchemaPgTest : public tests::OutboxTest {
protected:
    /// What the role may not do is told by its SQLSTATE.
    std::string refusal(const std::string& role, const std::string& sql) {
        const auto session = connect("SET ROLE " + role);
        const auto done = try_script(*session, sql);
        return done ? "done" : done.error().origin();
    }
};

// docs/adr/0004-lane-hash.md. If one of these changes, keys change their lanes and lose their
// order.
TEST_F(SchemaPgTest, TheLaneOfAKeyIsTheSameEverywhereAndForEver) {
    const std::vector<std::pair<std::string, int>> vectors{
        {"a", 202},
        {"order-1", 11},
        {"order-2", 61},
        {"customer-42", 160},
        {"ORD-001", 91},
        {"550e8400-e29b-41d4-a716-446655440000", 163},
        {"São Paulo", 240},
        {"日本語", 119},
        {"back\\slash", 20}
    };
    for (const auto& [key, byte] : vectors) {
        const auto lane = std::to_string(byte & 31);
        EXPECT_EQ(one("SELECT txstream.lane_of('" + key + "')::text"), lane) << key;
        script(*superuser_, "SELECT txstream.publish('T', '" + key + "', 'E', '{}')");
        EXPECT_EQ(
            one("SELECT lane::text FROM txstream.outbox WHERE aggregate_id = '" + key + "'"), lane
        ) << key;
    }
}

TEST_F(SchemaPgTest, AWriterMayAppendAndNothingElse) {
    const std::string denied = "42501";
    EXPECT_EQ(refusal("txstream_writer", "SELECT txstream.publish('T', 'k', 'E', '{}')"), "done");
    EXPECT_EQ(
        refusal(
            "txstream_writer",
            "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type) VALUES ('T', "
            "'k', 'E')"
        ),
        "done"
    );
    for (const char* sql :
         {"INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, xid) VALUES "
          "('T', 'k', 'E', '5')",
          "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, id) OVERRIDING "
          "SYSTEM VALUE VALUES ('T', 'k', 'E', 5)",
          "SELECT payload FROM txstream.outbox",
          "UPDATE txstream.outbox SET payload = '{}'",
          "DELETE FROM txstream.outbox",
          "UPDATE txstream.lanes SET owner = 'me'",
          "SELECT 1 FROM txstream.dead_letters"})
        EXPECT_EQ(refusal("txstream_writer", sql), denied) << sql;
}

TEST_F(SchemaPgTest, AReaderMayReadAndARelayMayMoveLanesAndNeitherMayTouchEvents) {
    const std::string denied = "42501";
    for (const char* role : {"txstream_reader", "txstream_relay"}) {
        EXPECT_EQ(
            refusal(role, "SELECT 1 FROM txstream.events; SELECT 1 FROM txstream.outbox_compat"),
            "done"
        ) << role;
        EXPECT_EQ(refusal(role, "UPDATE txstream.outbox SET payload = '{}'"), denied) << role;
        EXPECT_EQ(refusal(role, "DELETE FROM txstream.outbox"), denied) << role;
        EXPECT_EQ(refusal(role, "SELECT txstream.publish('T', 'k', 'E', '{}')"), denied) << role;
    }
    EXPECT_EQ(refusal("txstream_reader", "UPDATE txstream.lanes SET owner = 'me'"), denied);
    EXPECT_EQ(refusal("txstream_relay", "UPDATE txstream.lanes SET owner = 'me'"), "done");
}

TEST_F(SchemaPgTest, AnEventThatMakesNoSenseIsRefused) {
    for (const char* values :
         {"('', 'k', 'E', NULL, NULL, NULL)",
          "('T', '', 'E', NULL, NULL, NULL)",
          "('T', 'k', '', NULL, NULL, NULL)",
          "('T', 'k', 'E', '{}', '\\x00', NULL)",
          "('T', 'k', 'E', NULL, NULL, '[1]')"}) {
        const auto done = try_script(
            *superuser_,
            std::string("INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, "
                        "payload, payload_bytes,"
                        " headers) VALUES "
            ) + values
        );
        ASSERT_FALSE(done) << values;
        EXPECT_EQ(done.error().origin(), "23514") << values;
    }
}

TEST_F(SchemaPgTest, TheBacklogIsWhatTheCursorsDoNotCover) {
    BacklogMeter meter;
    const auto measured = [&] { return must(wait(meter.measure(*superuser_, soon()))); };
    EXPECT_EQ(measured().pending, 0U);
    EXPECT_EQ(measured().oldest_pending, 0);
    script(
        *superuser_,
        "SELECT txstream.publish('T', 'k' || n, 'E', '{}') FROM generate_series(1, 100) n"
    );
    EXPECT_EQ(measured().pending, 100U);
    EXPECT_EQ(measured().pending, 100U) << "nothing is counted twice";
    const auto slow = connect();
    script(*slow, "BEGIN; SELECT txstream.publish('T', 'slow', 'E', '{}')");
    script(*superuser_, "SELECT txstream.publish('T', 'quick', 'E', '{}')");
    EXPECT_EQ(measured().pending, 101U);
    script(*slow, "COMMIT");
    const auto all = measured();
    EXPECT_EQ(all.pending, 102U) << "the late one is counted when it is seen";
    EXPECT_GT(all.oldest_pending, 0);
    // As a relay does when all is published.
    script(
        *superuser_,
        "UPDATE txstream.lanes l SET cursor = pg_current_snapshot(), published = (SELECT count(*) "
        "FROM txstream.outbox o"
        " WHERE o.lane = l.lane)"
    );
    EXPECT_EQ(measured().pending, 0U);
    meter.forget();
    EXPECT_EQ(measured().pending, 0U);
}

TEST_F(SchemaPgTest, TheNewestEventsAreToldWithWhatBecameOfThem) {
    for (const char* key : {"first", "second", "third"})
        script(
            *superuser_,
            std::string("SELECT txstream.publish('T', '") + key + "', 'E', '{\"n\": 1}')"
        );
    script(
        *superuser_,
        "UPDATE txstream.lanes SET cursor = pg_current_snapshot() WHERE lane = "
        "txstream.lane_of('first')"
    );
    const auto two = must(wait(newest_events(*superuser_, 2, 0, soon())));
    ASSERT_EQ(two.size(), 2U);
    EXPECT_EQ(two[0].aggregate_id, "third");
    EXPECT_EQ(two[1].aggregate_id, "second");
    EXPECT_EQ(two[0].status, "pending");
    const auto last = must(wait(newest_events(*superuser_, 2, 2, soon())));
    ASSERT_EQ(last.size(), 1U);
    EXPECT_EQ(last[0].aggregate_id, "first");
    EXPECT_EQ(last[0].status, "published");
    EXPECT_EQ(last[0].payload, "{\"n\": 1}");
}

TEST_F(SchemaPgTest, AnAppendedEventHasWhatItWasGiven) {
    NewEvent event;
    event.aggregate_type = "Order";
    event.aggregate_id = "o-1";
    event.event_type = "OrderCreated";
    event.payload = R"({"a":  1})";
    must(wait(superuser_->transact({append_step(event)}, soon())));
    EXPECT_EQ(
        one("SELECT aggregate_type || aggregate_id || event_type || payload || "
            "coalesce(metadata::text, '-') FROM txstream.outbox"),
        "Ordero-1OrderCreated{\"a\":  1}-"
    );
}

}  // namespace
}  // namespace txstream::outbox
