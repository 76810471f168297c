#include "outbox/dead_letter_groups.hpp"
#include "outbox/event_detail.hpp"
#include "outbox/event_search.hpp"
#include "outbox/event_times.hpp"
#include "tests/support/outbox_database.hpp"

#include <cstdio>

namespace txstream::outbox {
namespace {

using namespace std::chrono_literals;
using tests::must;
using tests::soon;

/// What the console asks, under the least rights that it needs: those of a reader, in a session
/// that cannot write.
class ConsoleReadsPgTest : public tests::OutboxTest {
protected:
    ConsoleReadsPgTest() {
        script(*superuser_, "SET synchronous_commit = off");
        console_ = connect("SET ROLE txstream_reader;" + std::string(kConsoleSettings));
    }
    /// Returns the reference of the event.
    std::string publish(
        const std::string& key, const std::string& payload = "'{}'", const std::string& rest = ""
    ) {
        const auto id =
            one("SELECT txstream.publish('T', '" + key + "', 'E', " + payload + rest + ")::text");
        return one("SELECT id || '.' || xid FROM txstream.outbox WHERE event_id = '" + id + "'");
    }
    void park(const std::string& ref, const std::string& error_class, int attempts = 1) {
        const auto seq = *parse_event_ref(ref);
        script(
            *superuser_,
            "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type,"
            " aggregate_id, event_type, topic, key, payload, payload_bytes, content_type, headers,"
            " created_at, attempts, error_class, error) SELECT id, xid, event_id, lane,"
            " aggregate_type, aggregate_id, event_type, topic, coalesce(key, aggregate_id), "
            "payload,"
            " payload_bytes, content_type, headers, created_at, " +
                std::to_string(attempts) + ", '" + error_class +
                "', 'why' FROM txstream.outbox WHERE id = " + std::to_string(seq.id())
        );
    }
    void publish_all() {
        script(*superuser_, "UPDATE txstream.lanes SET cursor = pg_current_snapshot()");
    }
    EventDetail detail(const std::string& ref, DetailLimits limits = {}) {
        return must(wait(event_detail(*console_, *parse_event_ref(ref), limits, soon())));
    }
    static std::vector<std::string> refs(const std::vector<EventRow>& events) {
        std::vector<std::string> all;
        for (const auto& event : events) all.push_back(event_ref(event.seq));
        return all;
    }

    std::unique_ptr<pg::Connection> console_;
};

TEST_F(ConsoleReadsPgTest, AnEventIsShownAsItIsStoredAndWithTheHeadersThatAreSent) {
    const auto ref = publish(
        "ключ",
        R"('{ "a":1e400, "a":-0 }')",
        R"(, headers => '{"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",)"
        R"("n":7,"event_id":"mine"}', metadata => '{"m": 1}')"
    );
    const auto shown = detail(ref);
    EXPECT_EQ(event_ref(shown.event.seq), ref);
    EXPECT_EQ(shown.event.state, EventState::pending);
    EXPECT_EQ(shown.payload, R"({ "a":1e400, "a":-0 })");
    EXPECT_EQ(shown.payload_size, shown.payload.size());
    EXPECT_EQ(shown.metadata, R"({"m": 1})");
    EXPECT_EQ(shown.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
    std::string names;
    for (const auto& [name, value] : shown.headers) names += name + " ";
    EXPECT_EQ(
        names,
        "event_type aggregate_type event_id content-type created_at traceparent n "
        "txstream-missing-headers "
    );
    EXPECT_EQ(shown.headers[2].second, shown.event.event_id);
    EXPECT_EQ(shown.headers.back().second, R"(["event_id"])");
    const auto missing = wait(event_detail(*console_, EventSeq(1, 1), {}, soon()));
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code(), Code::not_found);
}

TEST_F(ConsoleReadsPgTest, OfALargePayloadTheBeginningIsShownAndTheRestIsFetched) {
    const auto ref = publish("k", "to_json(repeat('é', 50000))");
    const auto shown = detail(ref, {.payload_bytes = 100});
    EXPECT_EQ(shown.payload.size(), 100U);
    EXPECT_EQ(shown.payload_size, 100'002U);
    std::string whole;
    while (true) {
        auto part =
            must(wait(event_payload(*console_, *parse_event_ref(ref), whole.size(), 30'001, soon()))
            );
        if (part.empty()) break;
        whole += part;
    }
    EXPECT_EQ(whole.size(), 100'002U);
    EXPECT_EQ(whole.substr(0, 3), "\"é");
    // Its size is known without reading it.
    const auto too_large = detail(ref, {.event_bytes_max = 1000});
    EXPECT_TRUE(too_large.has_payload);
    EXPECT_EQ(too_large.payload, "");
    EXPECT_GT(too_large.payload_size, 100'000U);

    script(*superuser_, "SELECT txstream.publish_bytes('T', 'b', 'E', '\\x00ff', 'a/b')");
    const auto bytes =
        detail(one("SELECT id || '.' || xid FROM txstream.outbox WHERE key IS NULL"
                   " AND aggregate_id = 'b'"));
    EXPECT_EQ(bytes.payload, std::string("\0\xff", 2));
    EXPECT_FALSE(bytes.is_json);
    EXPECT_EQ(bytes.content_type, "a/b");
}

TEST_F(ConsoleReadsPgTest, APublishedEventHasItsPublicationAndAParkedOneItsCause) {
    const auto before = one("SELECT pg_current_snapshot()::text");
    const auto ref = publish("k");
    const auto parked = publish("p");
    const auto held = publish("p");
    park(parked, "MSG_SIZE_TOO_LARGE", 3);
    park(held, "held", 0);
    publish_all();
    script(
        *superuser_,
        "INSERT INTO txstream.positions (lease, lanes, active, first_event, last_event, events,"
        " since, cursor, records) SELECT 0, array_agg(lane), 32, 1, 1000, 1, '" +
            before +
            "', pg_current_snapshot(), '[{\"topic\":\"t\",\"partition\":1,\"first\":2,\"last\":3}]'"
            " FROM txstream.lanes"
    );
    const auto waiting = publish("p");
    const auto published = detail(ref);
    EXPECT_EQ(published.event.state, EventState::published);
    ASSERT_TRUE(published.publication);
    EXPECT_EQ(
        published.publication->records, R"([{"topic":"t","partition":1,"first":2,"last":3}])"
    );
    EXPECT_EQ(published.publication->acknowledged_at, published.event.published_at);
    EXPECT_FALSE(published.held_behind);

    const auto cause = detail(parked);
    ASSERT_TRUE(cause.dead_letter);
    EXPECT_EQ(cause.dead_letter->attempts, 3);
    EXPECT_EQ(cause.dead_letter->error_class, "MSG_SIZE_TOO_LARGE");
    EXPECT_FALSE(cause.held_behind);
    for (const auto& behind : {held, waiting}) {
        const auto shown = detail(behind);
        ASSERT_TRUE(shown.held_behind) << behind;
        EXPECT_EQ(event_ref(shown.held_behind->seq), parked);
        EXPECT_EQ(refs(shown.neighbours), (std::vector<std::string>{parked, held, waiting}));
    }
    // Retention drops the row, and the dead letter remains.
    script(*superuser_, "DELETE FROM txstream.outbox WHERE aggregate_id = 'p'");
    const auto left = detail(parked);
    EXPECT_FALSE(left.is_in_outbox);
    EXPECT_EQ(left.payload, "{}");
    EXPECT_EQ(left.event.state, EventState::parked);
    EXPECT_EQ(refs(left.neighbours), std::vector<std::string>{parked});
}

TEST_F(ConsoleReadsPgTest, DeadLettersAreGroupedByCauseAndEachGroupPagedByKeyset) {
    std::vector<std::string> large;
    for (int i = 0; i < 7; ++i) {
        large.push_back(publish("k" + std::to_string(i % 3)));
        park(large.back(), "MSG_SIZE_TOO_LARGE");
        const auto other = publish("k9", "'[]'", ", topic => 't'");
        park(other, i % 2 == 0 ? "held" : "MSG_SIZE_TOO_LARGE");
    }
    const auto groups = must(wait(dead_letter_groups(*console_, {}, soon())));
    EXPECT_TRUE(groups.is_complete);
    ASSERT_EQ(groups.groups.size(), 3U);
    const auto& largest = groups.groups.front();
    EXPECT_EQ(largest.cause.error_class, "MSG_SIZE_TOO_LARGE");
    EXPECT_EQ(largest.cause.topic, "");
    EXPECT_EQ(largest.events.value, 7U);
    EXPECT_EQ(largest.keys.value, 3U);
    EXPECT_TRUE(largest.events.is_exact);
    EXPECT_EQ(event_ref(largest.example.event.seq), large.back());
    EXPECT_EQ(groups.groups[1].cause.topic, "t");
    EXPECT_EQ(groups.groups[1].events.value, 4U);

    const auto few =
        must(wait(dead_letter_groups(*console_, {.groups = 2, .counted = 3, .keyed = 2}, soon())));
    EXPECT_FALSE(few.is_complete);
    ASSERT_EQ(few.groups.size(), 2U);
    EXPECT_EQ(few.groups[0].events.value, 3U);
    EXPECT_FALSE(few.groups[0].events.is_exact);
    EXPECT_FALSE(few.groups[0].keys.is_exact);

    const auto all = [&](const DeadLetterFilter& filter, LetterLimits limits) {
        std::vector<std::string> found;
        std::optional<EventSeq> before;
        do {
            const auto page = must(wait(dead_letters(*console_, filter, before, limits, soon())));
            EXPECT_LE(page.letters.size(), limits.rows);
            for (const auto& letter : page.letters) found.push_back(event_ref(letter.event.seq));
            before = page.before;
        } while (before);
        return found;
    };
    const std::vector<std::string> newest_first(large.rbegin(), large.rend());
    for (const LetterLimits limits : {LetterLimits{2, 100}, LetterLimits{50, 3}, LetterLimits{}}) {
        EXPECT_EQ(
            all({"MSG_SIZE_TOO_LARGE", "E", "", EventState::parked, {}}, limits), newest_first
        );
        EXPECT_EQ(all({{}, {}, "", {}, {}}, limits), newest_first);
        EXPECT_EQ(all({}, limits).size(), 14U);
        EXPECT_EQ(all({{}, {}, {}, {}, "k1"}, limits), (std::vector{large[4], large[1]}));
        EXPECT_EQ(all({{}, {}, {}, EventState::discarded, {}}, limits).size(), 0U);
    }
    const std::vector seqs{*parse_event_ref(large[0]), *parse_event_ref(large[1])};
    const auto contents = must(wait(dead_letter_contents(*console_, seqs, soon())));
    ASSERT_EQ(contents.size(), 2U);
    EXPECT_EQ(contents[0].payload, "{}");
}

TEST_F(ConsoleReadsPgTest, AnEventIsFoundByItsKeyAndTime) {
    script(
        *superuser_,
        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload, "
        "created_at)"
        " SELECT 'T', 'k' || n % 700, 'E', '{}', timestamptz '2026-01-01 00:00Z' + n * interval"
        " '1 second' FROM generate_series(1, 7000) n;"
        // Clocks that are wrong mislead nothing.
        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload, "
        "created_at)"
        " SELECT 'T', 'wrong' || n, 'E', '{}', CASE n % 2 WHEN 0 THEN 'infinity' ELSE 'epoch' END"
        "::timestamptz FROM generate_series(1, 20) n;"
        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload, "
        "created_at)"
        " SELECT 'T', 'k' || n % 700, 'E', '{}', timestamptz '2026-01-01 00:00Z' + n * interval"
        " '1 second' FROM generate_series(7001, 9000) n"
    );
    const Time begin{std::chrono::sys_days(std::chrono::year(2026) / 1 / 1)};
    std::vector<Trail> trails;
    for (const int n : {1, 350, 3500, 6999, 7001, 9000})
        trails.push_back({"k" + std::to_string(n % 700), begin + std::chrono::seconds(n), {}});
    trails.push_back(
        {"k3",
         begin + 703s,
         one("SELECT event_id::text FROM txstream.outbox WHERE"
             " aggregate_id = 'k3' AND id = 1403 + (SELECT min(id)"
             " FROM txstream.outbox) - 1")}
    );
    trails.push_back({"nothing", begin, {}});
    const auto found = must(wait(events_near(*console_, trails, 1000, soon())));
    ASSERT_EQ(found.size(), trails.size());
    for (std::size_t i = 0; i < 6; ++i) {
        ASSERT_TRUE(found[i]) << i;
        EXPECT_EQ(found[i]->key, trails[i].key);
        EXPECT_EQ(found[i]->created_at, trails[i].about);
    }
    ASSERT_TRUE(found[6]);
    EXPECT_EQ(found[6]->created_at, begin + 1403s);
    EXPECT_FALSE(found[7]);
    const auto at = must(wait(ids_at(*console_, begin + 5000s, soon())));
    ASSERT_TRUE(at);
    const auto expected =
        std::stoll(one("SELECT min(id)::text FROM txstream.outbox WHERE created_at >="
                       " timestamptz '2026-01-01 00:00Z' + interval '5000 seconds'"));
    EXPECT_LE(at->first, expected);
    EXPECT_GE(at->behind, expected);
    EXPECT_LT(at->behind - at->first, 100) << "a few events";
    EXPECT_EQ(
        must(wait(ids_at(*console_, begin + 9001s, soon())))->behind,
        std::numeric_limits<std::int64_t>::max()
    );
}

TEST_F(ConsoleReadsPgTest, TheSessionCannotWrite) {
    const auto refused = try_script(
        *console_,
        "INSERT INTO txstream.positions (lease, lanes, active, cursor, since)"
        " VALUES (0, '{}', 0, '1:1:', '1:1:')"
    );
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().origin(), "25006");
}

// Pages that are touched, unlike times, are the same on every machine. A hundred thousand events
// and half as many dead letters: what read one of them whole would touch thousands of pages more.
TEST_F(ConsoleReadsPgTest, NoQuestionReadsWhatItDoesNotShow) {
    script(
        *superuser_,
        "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload)"
        " SELECT 'T', 'k' || n % 5000, 'E' || n % 3, to_json(repeat('x', 200))"
        " FROM generate_series(1, 100000) n;"
        "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type, aggregate_id,"
        " event_type, key, payload, content_type, created_at, attempts, error_class, error)"
        " SELECT id, xid, event_id, lane, aggregate_type, aggregate_id, event_type, aggregate_id,"
        " payload, '', created_at, 1, 'C' || id % 4, 'e' FROM txstream.outbox WHERE id % 2 = 0"
    );
    const auto ref = one("SELECT id || '.' || xid FROM txstream.outbox WHERE id % 2 = 1 LIMIT 1");
    const auto pages = [&] {
        return std::stoll(one(
            "SELECT (sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read))::bigint"
            "::text FROM pg_statio_user_tables WHERE schemaname = 'txstream'"
        ));
    };
    const auto touched = [&](const char* what, std::int64_t most, const auto& question) {
        // What a session has counted is seen when it has been told to say so.
        script(*console_, "SELECT pg_stat_force_next_flush()");
        const auto before = pages();
        question();
        script(*console_, "SELECT pg_stat_force_next_flush()");
        const auto count = pages() - before;
        std::printf("%s: %lld pages\n", what, static_cast<long long>(count));
        EXPECT_LE(count, most) << what;
        EXPECT_GT(count, 0) << what;
    };
    const auto search = [&](const std::string& q) {
        EventSearch one{.filter = parse_event_filter(q, Time()).filter, .default_topic = "t"};
        one.limits.walked_max = 1;
        must(wait(search_events(*console_, one, soon())));
    };
    for (const char* statistics : {"SELECT 1", "ANALYZE"}) {
        script(*superuser_, statistics);
        touched("newest", 8'000, [&] { search("type:nothing"); });
        touched("parked", 2'000, [&] { search("state:parked"); });
        touched("pending", 30'000, [&] { search("state:pending"); });
        touched("one", 1'500, [&] { search("id:" + ref); });
        touched("detail", 4'000, [&] { detail(ref); });
        touched("groups", 30'000, [&] { must(wait(dead_letter_groups(*console_, {}, soon()))); });
        touched("letters of a cause", 1'500, [&] {
            must(wait(
                dead_letters(*console_, {"C2", "E1", "", EventState::parked, {}}, {}, {}, soon())
            ));
        });
    }
}

}  // namespace
}  // namespace txstream::outbox
