#include "outbox/event_log.hpp"
#include "tests/support/outbox_database.hpp"

namespace txstream::outbox {
namespace {

using tests::must;
using tests::soon;

class EventLogPgTest : public tests::OutboxTest {
protected:
    std::string snapshot() { return one("SELECT pg_current_snapshot()::text"); }
    void publish() { rows("SELECT txstream.publish('T', 'k', 'E', '{}')::text"); }
    std::int64_t id(int number) { return first_ + number; }
    void publication(
        const std::string& lanes,
        const std::string& cursor,
        const std::string& target,
        int first,
        int last,
        const std::string& at
    ) {
        script(
            *superuser_,
            "INSERT INTO txstream.positions (lease, active, lanes, first_event, last_event, events,"
            " since, cursor, written_at) SELECT -1, cardinality(lanes), lanes, " +
                std::to_string(id(first)) + ", " + std::to_string(id(last)) + ", 1, '" + cursor +
                "', '" + target + "', '" + at + "' FROM (SELECT (" + lanes +
                ")::smallint[] AS lanes) l"
        );
    }
    void dead_letter(int number, const std::string& state) {
        script(
            *superuser_,
            "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type, "
            "aggregate_id,"
            " event_type, key, content_type, created_at, state, attempts, error_class, error)"
            " SELECT id, xid, event_id, lane, 'T', 'k', 'E', 'k', '', created_at, '" +
                state + "', 7, 'X', 'too large' FROM txstream.outbox WHERE id = " +
                std::to_string(id(number))
        );
    }
    LoggedPage page(LogWindow window) {
        return must(wait(newest_events(*superuser_, window, soon())));
    }
    std::vector<LoggedEvent> newest(std::size_t limit, std::size_t offset = 0) {
        return page({limit, offset, 1 << 20}).events;
    }

    std::int64_t first_ = 0;
};

// Seven events of one lane: three behind the cursor, of the window that is being paged two
// acknowledged and one not, and one after it.
TEST_F(EventLogPgTest, EachEventIsToldWithTheStateThatItsLaneAndItsDeadLetterGive) {
    std::vector<std::string> seen{snapshot()};
    for (int i = 0; i < 7; ++i) {
        publish();
        seen.push_back(snapshot());
    }
    first_ = std::stoll(one("SELECT (min(id) - 1)::text FROM txstream.outbox"));
    script(
        *superuser_,
        "UPDATE txstream.lanes SET cursor = '" + seen[3] + "', target = '" + seen[6] +
            "', (last_id, last_xid) = (SELECT id, xid FROM txstream.outbox WHERE id = " +
            std::to_string(id(5)) + ") WHERE lane = txstream.lane_of('k')"
    );
    dead_letter(1, "discarded");
    dead_letter(2, "replayed");
    dead_letter(3, "parked");
    dead_letter(4, "replaying");
    const std::string mine = "ARRAY[txstream.lane_of('k')]";
    publication(mine, seen[3], seen[6], 4, 5, "2026-01-02 00:00:00+00");
    // The same ids, but of other transactions, and of another lane.
    publication(mine, seen[0], seen[3], 1, 9, "2026-01-01 00:00:00+00");
    publication("'{31}'", seen[3], seen[6], 4, 5, "2026-01-03 00:00:00+00");

    std::vector<std::string> states;
    const auto events = newest(100);
    states.reserve(events.size());
    for (const auto& event : events) states.push_back(event.status);
    EXPECT_EQ(
        states,
        (std::vector<std::string>{
            "pending", "pending", "published", "pending", "failed", "published", "discarded"
        })
    );
    ASSERT_EQ(events.size(), 7U);
    EXPECT_FALSE(events[0].published_at);
    ASSERT_TRUE(events[2].published_at);
    EXPECT_EQ(events[2].published_at->time_since_epoch().count(), 1767312000000000);
    EXPECT_EQ(events[2].attempts, 0);
    EXPECT_EQ(events[4].attempts, 7);
    EXPECT_EQ(events[4].last_error, "too large");
    EXPECT_FALSE(events[4].published_at);
}

TEST_F(EventLogPgTest, APayloadThatIsNotJsonIsNotShownAsJson) {
    script(
        *superuser_,
        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type) VALUES ('T', 'k', "
        "'Gone'); SELECT txstream.publish_bytes('T', 'k', 'E', '\\x00ff', 'application/avro');"
        "SELECT txstream.publish('T', 'k', 'E', '{ \"a\":1}', metadata => '{\"m\": 2 }')"
    );
    const auto events = newest(3);
    ASSERT_EQ(events.size(), 3U);
    EXPECT_EQ(events[0].payload, "{ \"a\":1}");
    EXPECT_EQ(events[0].metadata, "{\"m\": 2 }");
    EXPECT_EQ(events[1].payload, "");
    EXPECT_EQ(events[2].payload, "");
    EXPECT_EQ(events[2].metadata, "");
}

TEST_F(EventLogPgTest, APageEndsAtItsBytesAndHoldsOneEventAtLeast) {
    for (int i = 0; i < 6; ++i)
        script(
            *superuser_,
            "SELECT txstream.publish('T', 'key-" + std::to_string(i) +
                "', 'E', to_json(repeat('x', 10000)))"
        );
    std::vector<std::string> keys;
    for (std::size_t offset = 0; offset < 6; offset += 2) {
        const auto two = page({.limit = 6, .offset = offset, .bytes_max = 25'000});
        ASSERT_EQ(two.events.size(), 2U);
        EXPECT_EQ(two.is_cut, offset < 4);
        for (const auto& event : two.events) keys.push_back(event.aggregate_id);
    }
    EXPECT_EQ(
        keys, (std::vector<std::string>{"key-5", "key-4", "key-3", "key-2", "key-1", "key-0"})
    );
    const auto one = page({.limit = 6, .offset = 0, .bytes_max = 1});
    EXPECT_EQ(one.events.size(), 1U);
    EXPECT_TRUE(one.is_cut);
    EXPECT_FALSE(page({.limit = 1, .offset = 0, .bytes_max = 1}).is_cut);
    EXPECT_FALSE(page({.limit = 6, .offset = 0, .bytes_max = 70'000}).is_cut);
}

// The statement leaves out what is too large: what it does not return, the process never holds.
TEST_F(EventLogPgTest, ALargeEventIsShownWithItsSizeAndWithoutItsPayload) {
    script(
        *superuser_,
        "SELECT txstream.publish('T', 'before', 'E', '1');"
        "SELECT txstream.publish('T', 'payload', 'E', to_json(repeat('x', 5000)), metadata => "
        "'{}');"
        "SELECT txstream.publish('T', 'metadata', 'E', '3', metadata => json_build_object('m', "
        "repeat('x', "
        "5000)));"
        "SELECT txstream.publish_bytes('T', 'bytes', 'E', convert_to(repeat('x', 5000), 'UTF8'), "
        "'x',"
        " metadata => '{}');"
        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, metadata)"
        " VALUES ('T', 'gone', 'E', json_build_object('m', repeat('x', 5000)));"
        "SELECT txstream.publish('T', 'after', 'E', '5')"
    );
    std::string seen;
    for (const auto& event :
         page({.limit = 10, .offset = 0, .bytes_max = 1000, .event_bytes_max = 900}).events) {
        seen += event.aggregate_id + ":" + event.payload + ":" + event.metadata;
        seen += event.is_omitted ? ":omitted " : " ";
        EXPECT_EQ(
            event.size > 5000,
            std::string("payload metadata bytes").find(event.aggregate_id) != std::string::npos
        ) << event.aggregate_id;
    }
    EXPECT_EQ(
        seen, "after:5: gone:::omitted bytes::{} metadata:::omitted payload:::omitted before:1: "
    );
    const auto whole =
        page({.limit = 10, .offset = 0, .bytes_max = 1 << 20, .event_bytes_max = 6000});
    for (const auto& event : whole.events) EXPECT_FALSE(event.is_omitted) << event.aggregate_id;
    EXPECT_EQ(whole.events[4].payload.size(), 5002U);
}

TEST_F(EventLogPgTest, OfALongErrorTheBeginningIsTold) {
    publish();
    first_ = std::stoll(one("SELECT (min(id) - 1)::text FROM txstream.outbox"));
    dead_letter(1, "parked");
    script(*superuser_, "UPDATE txstream.dead_letters SET error = repeat('ã', 100000)");
    EXPECT_EQ(newest(1).front().last_error.size(), 4000U);
}

TEST_F(EventLogPgTest, PagesOfOneLaneFollowEachOtherToItsEnd) {
    for (int i = 0; i < 6; ++i) publish();
    std::vector<std::string> ids;
    for (std::size_t offset = 0; offset < 8; offset += 2)
        for (const auto& event : newest(2, offset)) ids.push_back(event.event_id);
    EXPECT_EQ(ids, rows("SELECT event_id::text FROM txstream.outbox ORDER BY id DESC"));
}

TEST_F(EventLogPgTest, PagesOfManyLanesAreCutFromOneOrder) {
    for (int i = 0; i < 50; ++i)
        script(
            *superuser_, "SELECT txstream.publish('T', 'key-" + std::to_string(i) + "', 'E', '{}')"
        );
    std::vector<std::string> keys;
    for (std::size_t offset = 0; offset < 60; offset += 20)
        for (const auto& event : newest(20, offset)) keys.push_back(event.aggregate_id);
    ASSERT_EQ(keys.size(), 50U);
    for (int i = 0; i < 50; ++i)
        EXPECT_EQ(keys[static_cast<std::size_t>(i)], "key-" + std::to_string(49 - i));
    EXPECT_TRUE(newest(20, 1000).empty());
    EXPECT_TRUE(newest(0).empty());
}

}  // namespace
}  // namespace txstream::outbox
