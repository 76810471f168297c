#include "outbox/reader.hpp"
#include "tests/support/outbox_database.hpp"

#include <limits>
#include <numeric>

namespace txstream::outbox {
namespace {

using tests::must;
using tests::soon;

class ReaderPgTest : public tests::OutboxTest {
protected:
    ReaderPgTest() : all_lanes_(32) {
        for (std::int16_t i = 0; i < 32; ++i) all_lanes_[static_cast<std::size_t>(i)] = LaneId(i);
    }

    static std::string publish(const std::string& key) {
        return "SELECT txstream.publish('T', '" + key + "', 'Happened', '{}')";
    }
    Snapshot now() { return must(wait(current_snapshot(*reader_, soon()))); }
    /// Keys of the window between two snapshots, in the order of their ids.
    std::vector<std::string> window(const Snapshot& cursor, const Snapshot& target) {
        const auto events = must(wait(
            read_window(*reader_, all_lanes_, cursor, target, tests::rows_at_most(10'000), soon())
        ));
        std::vector<std::size_t> order(events.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::sort(order, {}, [&](std::size_t i) { return events.id(i); });
        std::vector<std::string> keys;
        for (const auto i : order) keys.emplace_back(events.at(i).key);
        return keys;
    }
    static PageQuery query(
        LaneId lane, const Snapshot& cursor, const Snapshot& target, EventSeq after, PageLimit limit
    ) {
        return {
            .lanes = {lane},
            .cursor = cursor,
            .target = target,
            .after = after,
            .up_to = EventSeq(std::numeric_limits<std::int64_t>::max()),
            .limit = limit
        };
    }
    std::vector<EventSeq> page_through(
        LaneId lane, const Snapshot& cursor, const Snapshot& target, std::size_t limit
    ) {
        std::vector<EventSeq> ids;
        while (true) {
            const auto after = ids.empty() ? EventSeq(0) : ids.back();
            must(send_page(*reader_, query(lane, cursor, target, after, tests::rows_at_most(limit)))
            );
            const auto page = must(wait(receive_page(*reader_, soon())));
            for (std::size_t i = 0; i < page.size(); ++i) ids.push_back(page.id(i));
            if (page.size() < limit) return ids;
        }
    }

    /// The bits of lanes 1, 2 and 3.
    const std::string kSomeLanes = "\\x0e" + std::string(62, '0');
    std::unique_ptr<pg::Connection> reader_ = connect(kReaderSettings);
    std::vector<LaneId> all_lanes_;
};

using Keys = std::vector<std::string>;

TEST_F(ReaderPgTest, ARowOfASlowTransactionIsReadAfterItCommitsAndNobodyWaitsForIt) {
    const auto start = now();
    const auto slow = connect();
    script(*slow, "BEGIN; " + publish("slow"));
    rows(publish("quick"));
    const auto first = now();
    EXPECT_EQ(window(start, first), Keys{"quick"});
    rows(publish("later"));
    script(*slow, "COMMIT");
    const auto second = now();
    EXPECT_EQ(window(first, second), (Keys{"slow", "later"})) << "by id, not by commit";
    EXPECT_EQ(window(second, now()), Keys{});
}

TEST_F(ReaderPgTest, WhatRolledBackIsNeverReadSavepointsIncluded) {
    const auto start = now();
    script(*superuser_, "BEGIN; " + publish("gone") + "; ROLLBACK");
    script(
        *superuser_,
        "BEGIN; " + publish("a") + "; SAVEPOINT s; " + publish("undone") +
            "; ROLLBACK TO s; SAVEPOINT t; " + publish("b") + "; RELEASE t; COMMIT"
    );
    EXPECT_EQ(window(start, now()), (Keys{"a", "b"}));
}

TEST_F(ReaderPgTest, APreparedTransactionIsReadWhenItIsCommittedAtLast) {
    const auto start = now();
    const auto id = database_.name();
    script(*superuser_, "BEGIN; " + publish("prepared") + "; PREPARE TRANSACTION '" + id + "'");
    rows(publish("other"));
    const auto first = now();
    EXPECT_EQ(window(start, first), Keys{"other"});
    script(*superuser_, "COMMIT PREPARED '" + id + "'");
    EXPECT_EQ(window(first, now()), Keys{"prepared"});
}

TEST_F(ReaderPgTest, ALimitIsKeptAndPagesGiveTheWholeWindowInOrder) {
    const auto start = now();
    script(
        *superuser_,
        "SELECT txstream.publish('T', 'one', 'Happened', '{}') FROM generate_series(1, 250)"
    );
    const auto target = now();
    rows(publish("one"));  // outside of the window
    const auto some =
        must(wait(read_window(*reader_, all_lanes_, start, target, tests::rows_at_most(100), soon())
        ));
    EXPECT_EQ(some.size(), 100U);
    const auto lane = some.lane(0);
    const auto ids = page_through(lane, start, target, 100);
    EXPECT_EQ(ids.size(), 250U);
    EXPECT_TRUE(std::ranges::is_sorted(ids, std::less_equal<>())) << "ascending, none twice";
    // Also of one transaction that is larger than a step.
    for (const std::size_t step : {1U, 10U, 250U, 251U}) {
        const auto first = must(wait(first_id(*reader_, start, target, {.rows = step})));
        ASSERT_TRUE(first) << step;
        EXPECT_EQ(first->id(), ids.front().id()) << step;
    }
    EXPECT_GE(must(wait(highest_id(*reader_, soon()))), ids.back());
}

// The lowest id is not that of the lowest transaction: one that was running when the window began,
// and one that took its xid early and its first id late, or the other way round.
TEST_F(ReaderPgTest, TheFirstIdIsFoundWhereverItsTransactionLies) {
    const auto running = connect();
    const auto early = connect();
    script(*running, "BEGIN");
    rows(*running, publish("one"));
    const auto start = now();
    script(*early, "BEGIN; SELECT pg_current_xact_id()");
    for (int i = 0; i < 20; ++i) rows(publish("one"));
    rows(*early, publish("one"));
    script(*early, "COMMIT");
    const auto without = now();
    script(*running, "COMMIT");
    const auto with = now();
    for (const auto& target : {without, with}) {
        const auto all = must(
            wait(read_window(*reader_, all_lanes_, start, target, tests::rows_at_most(100), soon()))
        );
        ASSERT_EQ(all.size(), target == with ? 22U : 21U);
        for (const std::size_t step : {1U, 2U, 7U, 21U, 100U}) {
            const auto first = must(wait(first_id(*reader_, start, target, {.rows = step})));
            ASSERT_TRUE(first) << step;
            // A bound: what only a later target sees counts, too.
            EXPECT_EQ(first->id(), 1) << step;
            EXPECT_LE(first->id(), all.id(0).id()) << step;
        }
    }
}

TEST_F(ReaderPgTest, OnlyTheLanesThatWereAskedForAreRead) {
    const auto start = now();
    for (int i = 0; i < 50; ++i) rows(publish("key-" + std::to_string(i)));
    const auto target = now();
    std::size_t sum = 0;
    for (const auto lane : all_lanes_) {
        const std::vector<LaneId> only{lane};
        const auto events =
            must(wait(read_window(*reader_, only, start, target, tests::rows_at_most(100), soon()))
            );
        for (std::size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events.lane(i), lane);
        sum += events.size();
    }
    EXPECT_EQ(sum, 50U);
}

TEST_F(ReaderPgTest, APageHasTheLanesThatWereAskedForInTheOrderOfIdsUpToAPlace) {
    const auto start = now();
    for (int i = 0; i < 60; ++i) rows(publish("key-" + std::to_string(i)));
    const auto target = now();
    const auto all =
        must(wait(read_window(*reader_, all_lanes_, start, target, tests::rows_at_most(100), soon())
        ));
    ASSERT_EQ(all.size(), 60U);
    const std::vector<LaneId> some{all.lane(3), all.lane(17), all.lane(40), LaneId(31)};
    std::vector<EventSeq> expected;
    for (std::size_t i = 5; i <= 50; ++i) {
        if (std::ranges::find(some, all.lane(i)) != some.end()) expected.push_back(all.id(i));
    }
    auto one_page = query(LaneId(0), start, target, all.id(4), tests::rows_at_most(100));
    one_page.lanes = some;
    one_page.up_to = all.id(50);
    for (const auto count : {PageLimit::Count::shares, PageLimit::Count::sum}) {
        one_page.limit.count = count;
        must(send_page(*reader_, one_page));
        const auto page = must(wait(receive_page(*reader_, soon())));
        std::vector<EventSeq> ids;
        for (std::size_t i = 0; i < page.size(); ++i) ids.push_back(page.id(i));
        EXPECT_EQ(ids, expected);
    }
}

TEST_F(ReaderPgTest, AnEventComesBackAsItWasWritten) {
    const auto start = now();
    const std::string json = R"({"b" : 1.10,  "a": "\u00e9 S\u00e3o", "a": [1e400, -0.0]})";
    script(
        *superuser_,
        "INSERT INTO txstream.outbox (event_id, aggregate_type, aggregate_id, event_type, topic, "
        "key, payload, metadata,"
        " headers, created_at) VALUES ('6f1c2a00-0000-4000-8000-000000000001', 'Type', 'São "
        "Paulo', 'Happened', 't.x',"
        " 'k', '" +
            json + "', '{ \"m\":1}', '{\"h\":\"v\"}', '2026-01-31 12:00:00.123456+00')"
    );
    script(
        *superuser_,
        "SELECT txstream.publish_bytes('Type', 'b', 'Happened', '\\x00ff10', 'application/avro');"
        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type) VALUES ('Type', "
        "'c', 'Gone')"
    );
    const auto events =
        must(wait(read_window(*reader_, all_lanes_, start, now(), tests::rows_at_most(10), soon()))
        );
    ASSERT_EQ(events.size(), 3U);
    std::map<std::string, Event> by_id;
    for (std::size_t i = 0; i < 3; ++i) by_id.emplace(events.at(i).aggregate_id, events.at(i));
    const auto& whole = by_id.at("São Paulo");
    EXPECT_EQ(whole.event_id, "6f1c2a00-0000-4000-8000-000000000001");
    EXPECT_EQ(whole.payload, json) << "spaces, numbers and repeated names included";
    EXPECT_EQ(whole.metadata, "{ \"m\":1}");
    EXPECT_EQ(whole.headers, "{\"h\":\"v\"}");
    EXPECT_EQ(whole.topic, "t.x");
    EXPECT_EQ(whole.key, "k");
    EXPECT_EQ(whole.created_at.time_since_epoch().count(), 1769860800123456);
    EXPECT_EQ(by_id.at("b").payload, std::string_view("\x00\xff\x10", 3));
    EXPECT_FALSE(by_id.at("b").payload_is_json);
    EXPECT_EQ(by_id.at("b").content_type, "application/avro");
    EXPECT_EQ(by_id.at("b").key, "b") << "the aggregate's id where there is no key";
    EXPECT_TRUE(by_id.at("c").payload_is_null);
}

// As logical replication leaves a sequence, or TRUNCATE … RESTART IDENTITY.
TEST_F(ReaderPgTest, OfTwoEventsWithOneIdNoneIsLostBetweenPages) {
    const auto start = now();
    for (int i = 0; i < 3; ++i) {
        script(*superuser_, "ALTER TABLE txstream.outbox ALTER COLUMN id RESTART WITH 1");
        for (int n = 0; n < 5; ++n) rows(publish("one"));
    }
    const auto target = now();
    const auto lane =
        LaneId(static_cast<std::int16_t>(std::stoi(one("SELECT txstream.lane_of('one')::text"))));
    for (const std::size_t limit : {1U, 2U, 4U, 7U, 100U}) {
        const auto ids = page_through(lane, start, target, limit);
        EXPECT_EQ(ids.size(), 15U) << limit;
        EXPECT_TRUE(std::ranges::is_sorted(ids, std::less_equal<>())) << limit;
    }
}

TEST_F(ReaderPgTest, APageIsBoundedInBytesAndAnEventThatNobodyCanSendIsNotFetched) {
    const auto start = now();
    script(
        *superuser_,
        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload, headers)"
        " SELECT 'T', 'one', 'E', to_json(repeat('x', CASE n WHEN 3 THEN 3000000 ELSE 300000 END)),"
        " '{\"h\": \"v\"}' FROM generate_series(1, 9) n"
    );
    const auto target = now();
    const PageLimit limit{100, 700'000, 1'000'000, PageLimit::Count::sum};
    const auto window = must(wait(read_window(*reader_, all_lanes_, start, target, limit, soon())));
    EXPECT_EQ(window.size(), 4U) << "three that fit, and the large one for nothing";
    EXPECT_TRUE(is_cut(window, limit));
    EventSeq after;
    std::size_t seen = 0;
    while (true) {
        must(send_page(*reader_, query(window.lane(0), start, target, after, limit)));
        const auto page = must(wait(receive_page(*reader_, soon())));
        EXPECT_LE(page.size(), 4U);
        for (std::size_t i = 0; i < page.size(); ++i) {
            const auto event = page.at(i);
            const bool is_large = ++seen == 3;
            EXPECT_EQ(event.has_content, !is_large);
            EXPECT_EQ(event.payload.size(), is_large ? 0U : 300'002U);
            EXPECT_EQ(event.headers.empty(), is_large);
            EXPECT_GE(event.size, is_large ? 3'000'000U : 300'000U);
            after = event.id;
        }
        if (!is_cut(page, limit)) break;
    }
    EXPECT_EQ(seen, 9U);
}

TEST_F(ReaderPgTest, OfAPageByItsSharesOnlyTheSmallEventsBeforeALargeOneAreWhole) {
    const auto start = now();
    for (const int size : {10, 2000, 10})
        rows(
            "SELECT txstream.publish('T', 'one', 'E', to_json(repeat('x', " + std::to_string(size) +
            ")))"
        );
    const PageLimit limit{100, 100'000, 1'000'000};
    const auto events = must(wait(read_window(*reader_, all_lanes_, start, now(), limit, soon())));
    ASSERT_EQ(events.size(), 3U);
    EXPECT_EQ(whole_events(events, limit), 1U);
    EXPECT_TRUE(is_cut(events, limit));
    EXPECT_TRUE(events.at(1).payload.empty());
    EXPECT_GT(events.at(1).size, 2000U);
    const PageLimit none_can{100, 100'000, 500};
    EXPECT_EQ(whole_events(events, none_can), 3U) << "what can never be sent is not missing";
}

// A standby's snapshots hide running transactions: their events would be passed over.
TEST_F(ReaderPgTest, NothingIsReadFromAStandby) {
    script(
        *superuser_,
        "CREATE SCHEMA standby; CREATE FUNCTION standby.pg_is_in_recovery() RETURNS boolean"
        " LANGUAGE sql AS 'SELECT true'"
    );
    const auto session = connect("SET search_path = standby, pg_catalog");
    const auto refused = wait(current_snapshot(*session, soon()));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::rejected);
}

// The plan must not depend on statistics: right after a bulk load there are none.
TEST_F(ReaderPgTest, PagesAndWindowsWalkTheIndexesWhateverTheStatisticsSay) {
    const auto start = now();
    script(
        *superuser_,
        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload)"
        " SELECT 'T', 'key-' || n, 'Happened', '{}' FROM generate_series(1, 20000) n"
    );
    const auto target = now();
    must(wait(read_window(*reader_, all_lanes_, start, target, tests::rows_at_most(10), soon())));
    must(send_page(*reader_, query(LaneId(3), start, target, EventSeq(0), tests::rows_at_most(10)))
    );
    must(wait(receive_page(*reader_, soon())));
    const auto plan = [&](const std::string& call) {
        std::string text;
        for (const auto& line : rows(*reader_, "EXPLAIN EXECUTE " + call)) text += line + "\n";
        return text;
    };
    const auto page = plan(
        "txs_page('" + kSomeLanes + "', '" + target.text() + "', '" + start.text() +
        "', '0', '3', '1000000', '3', '1000', '4000')"
    );
    EXPECT_NE(page.find("_pkey"), std::string::npos) << page;
    EXPECT_EQ(page.find("->  Sort"), std::string::npos)
        << "a page of a large window must not sort it\n"
        << page;
    EXPECT_EQ(page.find("Seq Scan"), std::string::npos) << page;
    const auto poll = plan(
        "txs_window('" + kSomeLanes + "', '" + std::to_string(start.xmax()) + "', '" +
        std::to_string(target.xmax()) + "', '" + target.text() + "', '{}', '1000', '4000')"
    );
    EXPECT_NE(poll.find("_xid_id_idx"), std::string::npos) << poll;
    EXPECT_EQ(poll.find("Seq Scan"), std::string::npos) << poll;
}

}  // namespace
}  // namespace txstream::outbox
