#include "outbox/backlog.hpp"
#include "outbox/event_log.hpp"
#include "outbox/lane_store.hpp"
#include "outbox/position_merger.hpp"
#include "outbox/reader.hpp"
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
          "UPDATE txstream.lanes SET lease = 1",
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
    EXPECT_EQ(refusal("txstream_reader", "UPDATE txstream.lanes SET lease = 1"), denied);
    EXPECT_EQ(refusal("txstream_relay", "UPDATE txstream.lanes SET lease = 1"), "done");
}

TEST_F(SchemaPgTest, ARelaysRoleSufficesForAllThatARelayDoes) {
    using namespace std::chrono_literals;
    const auto event = one("SELECT txstream.publish('T', 'k', 'E', '{}')::text");
    const auto session = connect(std::string(kReaderSettings) + "SET ROLE txstream_relay");
    EXPECT_TRUE(wait(pg::check_schema(*session, {tests::shipped_migrations("outbox")}, soon())));
    EXPECT_EQ(must(wait(lane_count(*session, soon()))), 32U);
    LaneStore store("a");
    const auto lanes = must(wait(store.claim(*session, {}, 32, 60s, soon())));
    const auto target = must(wait(current_snapshot(*session, soon())));
    std::vector<LaneId> all;
    for (const auto& lane : lanes) all.push_back(lane.lane);
    const auto cursor = lanes.at(0).cursor;
    const auto events =
        must(wait(read_window(*session, all, cursor, target, tests::rows_at_most(10), soon())));
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events.at(0).event_id, event);
    const auto first = must(wait(first_id(*session, cursor, target, {})));
    const auto highest = must(wait(highest_id(*session, soon())));
    must(send_page(
        *session,
        {.lanes = all,
         .cursor = cursor,
         .target = target,
         .after = first->before(),
         .up_to = highest,
         .limit = tests::rows_at_most(10)}
    ));
    EXPECT_EQ(must(wait(receive_page(*session, soon()))).size(), 1U);
    EXPECT_EQ(must(wait(store.renew(*session, all, 60s, soon()))).size(), 32U);
    const auto mine = *std::ranges::find(lanes, events.lane(0), &ClaimedLane::lane);
    Publication page;
    page.lanes = {mine.lane};
    page.first_id = page.last_id = events.id(0);
    page.events = 1;
    page.cursor = cursor;
    page.target = target;
    LaneProgress progress{mine.lane, mine.epoch, cursor, target, EventSeq(0), 0};
    EXPECT_EQ(must(wait(store.advance(*session, {progress}, {page}, soon()))).size(), 1U);
    progress.cursor = target;
    progress.target.reset();
    const ParkedEvent parked{events.id(0), 1, "X", "x"};
    EXPECT_TRUE(must(wait(store.park(*session, progress, {parked}, page, LetterForm::whole, soon()))
    ));
    BacklogMeter meter;
    EXPECT_EQ(must(wait(meter.measure(*session, soon()))).parked, 1U);
    EXPECT_EQ(must(wait(newest_events(*session, {10, 0, 1 << 20}, soon()))).events.size(), 1U);
    script(
        *superuser_,
        "INSERT INTO txstream.positions (lease, lanes, active, published, cursor, since, "
        "written_at)"
        " SELECT 0, '{1}', 1, '{1}', '1:1:', '1:1:', now() - interval '1 day'"
        " FROM generate_series(1, 3)"
    );
    EXPECT_FALSE(must(wait(PositionMerger().step(*session, soon()))));
    EXPECT_EQ(
        one("SELECT count(*)::text FROM txstream.positions WHERE written_at < now() - interval '1 "
            "h'"),
        "1"
    );
    must(wait(store.release(*session, soon())));
    EXPECT_EQ(one("SELECT count(owner)::text FROM txstream.lane_positions"), "0");
}

TEST_F(SchemaPgTest, AReadersRoleSufficesToSeeTheEventsAndTheBacklog) {
    script(*superuser_, "SELECT txstream.publish('T', 'k', 'E', '{}')");
    const auto session = connect("SET ROLE txstream_reader");
    BacklogMeter meter;
    EXPECT_EQ(must(wait(meter.measure(*session, soon()))).pending, 1U);
    EXPECT_EQ(must(wait(newest_events(*session, {10, 0, 1 << 20}, soon()))).events.size(), 1U);
    EXPECT_TRUE(wait(pg::check_schema(*session, {tests::shipped_migrations("outbox")}, soon())));
}

TEST_F(SchemaPgTest, HardJsonComesBackByteForByte) {
    const std::vector<std::string> texts{
        R"(12345678901234567890123456789.10)",
        R"("\u0000 \ud83d\ude00 \/ \"")",
        R"({"a":1,"a":2,"":{"__proto__":null}})",
        "\t{ \n\"a\"\r\n: [ ] }  ",
        R"([1E+2, -0.0, 1e-400, true, null, "😀 日本"])",
        std::string(500, '[') + std::string(500, ']'),
        "\"" + std::string(1'000'000, 'x') + "\"",
        "null"
    };
    const auto session = connect("SET ROLE txstream_writer");
    static constexpr pg::Statement kAppend{
        "append",
        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload, metadata)"
        " VALUES ('T', 'k', 'E', $1::json, $2::json)"
    };
    for (const auto& text : texts) {
        must(wait(session->run(kAppend, pg::Params::of(text, R"({ "m" : "\u00e9" })"), soon())));
    }
    EXPECT_EQ(rows("SELECT payload::text FROM txstream.outbox ORDER BY id"), texts);
    EXPECT_EQ(one("SELECT DISTINCT metadata::text FROM txstream.outbox"), R"({ "m" : "\u00e9" })");
}

TEST_F(SchemaPgTest, TheServerWritesTheTransactionWhoeverTheWriterIs) {
    const auto writer = connect("SET ROLE txstream_writer");
    script(*writer, "SELECT txstream.publish('T', 'k', 'E', '{}')");
    EXPECT_EQ(one("SELECT (xid::xid = xmin)::text FROM txstream.outbox"), "true")
        << "the reader finds an event by it";
}

TEST_F(SchemaPgTest, ADatabaseThatIsNotUtf8IsRefused) {
    const auto name = database_.name() + "_a";
    database_.on_server(
        "CREATE DATABASE " + name +
        " ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    );
    auto session = must(wait(pg::Connection::open(
        io_.get_executor(), database_.conninfo() + " dbname=" + name, {}, soon()
    )));
    const auto refused =
        wait(pg::migrate_up(*session, {tests::shipped_migrations("outbox")}, soon()));
    session.reset();
    database_.on_server("DROP DATABASE " + name + " WITH (FORCE)");
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().what().find("UTF8"), std::string::npos) << refused.error().what();
}

TEST_F(SchemaPgTest, AnOwnerWithoutSuperuserMayMigrate) {
    const auto name = database_.name() + "_o";
    database_.on_server("CREATE ROLE " + name + " CREATEROLE");
    database_.on_server("CREATE DATABASE " + name + " OWNER " + name);
    auto session = must(wait(pg::Connection::open(
        io_.get_executor(),
        database_.conninfo() + " dbname=" + name,
        "SET SESSION AUTHORIZATION " + name,
        soon()
    )));
    const auto migrated =
        wait(pg::migrate_up(*session, {tests::shipped_migrations("outbox")}, soon()));
    const auto written =
        migrated ? wait(session->run_script("SELECT txstream.publish('T', 'k', 'E', '{}')", soon()))
                 : Result<>();
    session.reset();
    database_.on_server("DROP DATABASE " + name + " WITH (FORCE)");
    database_.on_server("DROP ROLE " + name);
    EXPECT_TRUE(migrated) << migrated.error().what();
    EXPECT_TRUE(written) << written.error().what();
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

TEST_F(SchemaPgTest, HeadersAndMetadataThatNoRecordCanCarryAreRefusedWhereTheyAreWritten) {
    const auto insert = [&](const std::string& column, const std::string& value) {
        const auto done = try_script(
            *superuser_,
            "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload, " +
                column + ") VALUES ('T', 'k', 'E', '{}', " + value + ")"
        );
        return done ? "done" : done.error().origin();
    };
    const std::string at_limit = "json_build_object('a', repeat('x', 65536 - 10))";
    for (const std::string good :
         {"NULL",
          "'null'",
          "'{}'",
          R"('{"pair":"\ud83d\ude00","n":1,"o":{"a":[null]},"":"x"}')",
          R"('{"a":1,"a":2}')"})
        EXPECT_EQ(insert("headers", good), "done") << good;
    EXPECT_EQ(insert("headers", at_limit), "done");
    for (const auto& [bad, sqlstate] : std::vector<std::pair<std::string, std::string>>{
             {R"('{"half":"\ud83d"}')", "22P02"},
             {R"('{"half":{"deep":["\ude00"]}}')", "22P02"},
             {R"('{"\ud83d":"name"}')", "22P02"},
             {R"('{"zero":"a\u0000b"}')", "22P05"},
             {"'[1]'", "23514"},
             {"'\"text\"'", "23514"},
             {"json_build_object('a', repeat('x', 65536))", "23514"}
         })
        EXPECT_EQ(insert("headers", bad), sqlstate) << bad;
    EXPECT_EQ(insert("metadata", "'null'"), "done");
    EXPECT_EQ(insert("metadata", R"('{"as":"\ud83d it was written"}')"), "done");
    for (const char* bad : {"'[1]'", "'1'", "'\"text\"'"})
        EXPECT_EQ(insert("metadata", bad), "23514") << bad;
    for (const char* good : {"'application/avro'", "'text/plain; charset=utf-8'"})
        EXPECT_EQ(insert("content_type", good), "done") << good;
    for (const char* bad : {"''", "E'a\nb'", "E'a\x01'", "'\u00e9'", "repeat('x', 256)"})
        EXPECT_EQ(insert("content_type", bad), "23514") << bad;
}

TEST_F(SchemaPgTest, ATopicThatKafkaCannotHaveIsRefusedWhereItIsWritten) {
    const auto publish = [&](const std::string& topic) {
        return try_script(
            *superuser_, "SELECT txstream.publish('T', 'k', 'E', '{}', topic => '" + topic + "')"
        );
    };
    for (const std::string topic : {"", ".", "..", "a b", "a/b", "\u00e9"})
        EXPECT_FALSE(publish(topic)) << topic;
    EXPECT_FALSE(publish(std::string(250, 'a')));
    for (const std::string& topic : {std::string("Orders.v1_new-x"), std::string(249, 'a')})
        EXPECT_TRUE(publish(topic)) << topic;
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
    const auto two = must(wait(newest_events(*superuser_, {2, 0, 1 << 20}, soon()))).events;
    ASSERT_EQ(two.size(), 2U);
    EXPECT_EQ(two[0].aggregate_id, "third");
    EXPECT_EQ(two[1].aggregate_id, "second");
    EXPECT_EQ(two[0].status, "pending");
    const auto last = must(wait(newest_events(*superuser_, {2, 2, 1 << 20}, soon()))).events;
    ASSERT_EQ(last.size(), 1U);
    EXPECT_EQ(last[0].aggregate_id, "first");
    EXPECT_EQ(last[0].status, "published");
    EXPECT_EQ(last[0].payload, "{\"n\": 1}");
}

}  // namespace
}  // namespace txstream::outbox
