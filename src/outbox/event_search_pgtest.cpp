#include "outbox/event_search.hpp"
#include "outbox/event_times.hpp"
#include "tests/support/outbox_database.hpp"

#include <cstdio>

namespace txstream::outbox {
namespace {

using namespace std::chrono_literals;
using tests::must;
using tests::soon;

Time now() {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now()
    );
}

/// Limits so small that a few hundred events need all of them.
constexpr SearchLimits kSmall{
    .rows = 9,
    .step_rows = 40,
    .walked_max = 90,
    .time = 1min,
    .pending_rows = 60,
    .clock_slack = 150s
};

class EventSearchPgTest : public tests::OutboxTest {
protected:
    EventFilter filter(const std::string& text) {
        auto parsed = parse_event_filter(text, now());
        EXPECT_FALSE(parsed.error) << text << ": " << parsed.error->text;
        return std::move(parsed.filter);
    }
    EventsFound page(
        EventFilter filter, std::optional<EventSeq> before = {}, SearchLimits limits = kSmall
    ) {
        return must(
            wait(search_events(*console_, {std::move(filter), "default", before, limits}, soon()))
        );
    }
    /// Of all pages.
    std::vector<std::string> found(const std::string& text, SearchLimits limits = kSmall) {
        std::vector<std::string> refs;
        std::optional<EventSeq> before;
        std::size_t pages = 0;
        do {
            const auto one = page(filter(text), before, limits);
            EXPECT_LE(one.events.size(), limits.rows) << text;
            EXPECT_TRUE(!one.before || !before || *one.before < *before) << "it goes on";
            for (const auto& event : one.events)
                refs.push_back(event_ref(event.seq) + " " + std::string(to_string(event.state)));
            before = one.before;
        } while (before && ++pages < 1000);
        EXPECT_FALSE(before) << text << " does not end";
        return refs;
    }
    std::vector<std::string> refs(const std::string& where) {
        return rows(
            "SELECT e.id || '.' || e.xid || ' ' || e.status FROM txstream.events e JOIN"
            " txstream.outbox o ON (o.lane, o.id, o.xid) = (e.lane, e.id, e.xid)"
            " LEFT JOIN txstream.dead_letters d ON (d.id, d.xid) = (e.id, e.xid) WHERE " +
            where + " ORDER BY e.id DESC, e.xid DESC"
        );
    }
    static void expect_same(
        const std::vector<std::string>& found,
        const std::vector<std::string>& expected,
        const std::string& text
    ) {
        const auto [in_found, in_expected] = std::ranges::mismatch(found, expected);
        EXPECT_TRUE(in_found == found.end() && in_expected == expected.end())
            << "q=" << text << ": found " << (in_found == found.end() ? "no more" : *in_found)
            << ", expected " << (in_expected == expected.end() ? "no more" : *in_expected);
    }
    std::string snapshot() { return one("SELECT pg_current_snapshot()::text"); }
    int below(int end) { return std::uniform_int_distribution<int>(0, end - 1)(random_); }

    /// Events of one transaction that is open while others begin and end.
    void append(pg::Connection& session, int count) {
        std::string sql;
        for (int i = 0; i < count; ++i) {
            const int key = below(12);
            sql +=
                "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, topic,"
                " key, payload, headers, created_at) VALUES ('T" +
                std::to_string(below(2)) + "', 'a" + std::to_string(key) + "', 'E" +
                std::to_string(below(3)) + "', " + (below(3) == 0 ? "'t'" : "NULL") + ", " +
                (below(4) == 0 ? "'k" + std::to_string(below(3)) + "'" : "NULL") +
                ", '{}', '{\"traceparent\":\"00-4bf92f3577b34da6a3ce929d0e0e473" +
                std::to_string(below(5)) +
                "-00f067aa0ba902b7-01\"}', clock_timestamp() - interval '1 hour' + " +
                std::to_string(++written_) + " * interval '1 second');";
        }
        script(session, sql);
    }
    void fill() {
        const auto other = connect();
        const auto third = connect();
        for (int i = 0; i < 25; ++i) {
            for (auto* session : {other.get(), third.get(), superuser_.get()}) {
                if (below(3) == 0) script(*session, session->in_transaction() ? "COMMIT" : "BEGIN");
                append(*session, 1 + below(8));
            }
            snapshots_.push_back(snapshot());
            // Ids are given twice then, never to one transaction.
            if (i == 15 || i == 24)
                for (auto* session : {other.get(), third.get(), superuser_.get()})
                    if (session->in_transaction()) script(*session, "COMMIT");
            if (i == 15)
                script(
                    *superuser_,
                    "SELECT setval(pg_get_serial_sequence("
                    "'txstream.outbox', 'id'), 100)"
                );
        }
        for (int lane = 0; lane < 32; ++lane) move_lane(lane);
        script(
            *superuser_,
            "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type,"
            " aggregate_id, event_type, topic, key, content_type, headers, created_at, state,"
            " attempts, error_class, error) SELECT id, xid, event_id, lane, aggregate_type,"
            " aggregate_id, event_type, topic, coalesce(key, aggregate_id), '', headers, "
            "created_at,"
            " (ARRAY['parked', 'replaying', 'replayed', 'discarded'])[1 + id % 4], 3,"
            " (ARRAY['held', 'MSG_SIZE_TOO_LARGE'])[1 + id % 2], 'e'"
            " FROM txstream.outbox o WHERE id % 7 = 3"
        );
    }
    void move_lane(int lane) {
        const auto at = static_cast<std::size_t>(below(static_cast<int>(snapshots_.size()) - 5));
        const auto number = std::to_string(lane);
        script(
            *superuser_,
            "UPDATE txstream.lanes SET cursor = '" + snapshots_[at] + "' WHERE lane = " + number
        );
        if (below(2) == 0) return;
        script(
            *superuser_,
            "UPDATE txstream.lanes l SET target = '" + snapshots_[at + 4] +
                "', (last_id, last_xid) = (SELECT id, xid FROM txstream.outbox WHERE lane = " +
                number + " ORDER BY random() LIMIT 1) WHERE lane = " + number +
                " AND EXISTS (SELECT FROM txstream.outbox o WHERE o.lane = l.lane)"
        );
    }

    const unsigned seed_ = [] {
        const char* given = std::getenv("TXS_TEST_SEED");
        return given ? static_cast<unsigned>(std::stoul(given)) : std::random_device{}();
    }();
    std::mt19937 random_{seed_};
    std::unique_ptr<pg::Connection> console_ = connect(kConsoleSettings);
    std::vector<std::string> snapshots_;
    int written_ = 0;
};

TEST_F(EventSearchPgTest, ThePagesOfASearchAreWhatTheViewTells) {
    std::printf("TXS_TEST_SEED=%u\n", seed_);
    fill();
    const auto id = one("SELECT id::text FROM txstream.outbox WHERE id = 105 LIMIT 1");
    const auto uuid = one("SELECT event_id::text FROM txstream.outbox WHERE id = 60 LIMIT 1");
    const auto time =
        one("SELECT to_char(created_at AT TIME ZONE 'UTC',"
            " 'YYYY-MM-DD\"T\"HH24:MI:SS.USZ') FROM txstream.outbox WHERE id = 80 LIMIT 1");
    const auto later =
        one("SELECT to_char(created_at AT TIME ZONE 'UTC',"
            " 'YYYY-MM-DD\"T\"HH24:MI:SS.USZ') FROM txstream.outbox WHERE id = 120 LIMIT 1");
    const auto newest = [&](const std::string& state) {
        return one("SELECT max(id)::text FROM txstream.events WHERE status = '" + state + "'");
    };
    const auto parked = newest("parked");
    const auto pending = newest("pending");
    const std::vector<std::pair<std::string, std::string>> searches{
        {"", "true"},
        {"id:105", "e.id = 105"},
        {"id:999999", "false"},
        {"id:" + uuid, "e.event_id = '" + uuid + "'"},
        {"type:E1", "e.event_type = 'E1'"},
        {"type:E1,E2 aggregate_type:T0", "e.event_type <> 'E0' AND e.aggregate_type = 'T0'"},
        {"topic:t", "o.topic = 't'"},
        {"topic:default,other", "o.topic IS NULL"},
        {"key:a3", "coalesce(o.key, e.aggregate_id) = 'a3'"},
        {"key:k1 type:E0", "o.key = 'k1' AND e.event_type = 'E0'"},
        {"aggregate:a3", "o.key IS NULL AND e.aggregate_id = 'a3'"},
        {"aggregate:a3 key:k1", "o.key = 'k1' AND e.aggregate_id = 'a3'"},
        {"lane:" + one("SELECT txstream.lane_of('a3')::text"), "e.lane = txstream.lane_of('a3')"},
        {"trace:4bf92f3577b34da6a3ce929d0e0e4732", "o.headers::text LIKE '%e4732-%'"},
        {"created:>" + time, "e.created_at >= '" + time + "'"},
        {"created:<" + time, "e.created_at <= '" + time + "'"},
        {"type:E0 created:>" + time + " created:<" + later,
         "e.event_type = 'E0' AND e.created_at BETWEEN '" + time + "' AND '" + later + "'"},
        {"state:pending", "e.status = 'pending'"},
        {"state:pending type:E1", "e.status = 'pending' AND e.event_type = 'E1'"},
        {"state:published", "e.status = 'published'"},
        {"state:published,parked,discarded", "e.status IN ('published', 'parked', 'discarded')"},
        {"state:parked", "e.status = 'parked'"},
        {"state:replayed,discarded", "e.status IN ('replayed', 'discarded')"},
        {"state:pending,parked", "e.status IN ('pending', 'parked')"},
        {"id:" + parked + " state:parked", "e.id = " + parked + " AND e.status = 'parked'"},
        {"id:999999 state:parked,discarded", "false"},
        {"id:" + pending + " state:pending", "e.id = " + pending + " AND e.status = 'pending'"},
        {"state:pending,replaying created:>" + time,
         "e.status IN ('pending', 'replaying') AND e.created_at >= '" + time + "'"},
        {"error:held", "d.error_class = 'held'"},
        {"error:held state:parked key:a5",
         "d.error_class = 'held' AND d.state = 'parked' AND d.key = 'a5'"},
    };
    for (const auto& [text, where] : searches) {
        const auto expected = refs(where);
        expect_same(found(text), expected, text);
        expect_same(found(text, {.rows = 1000, .time = 1min, .clock_slack = 150s}), expected, text);
    }
    for (const auto& row : rows("SELECT id || '.' || xid FROM txstream.outbox WHERE id = " + id)) {
        const auto one = page(filter(row));
        ASSERT_EQ(one.events.size(), 1U) << row;
        EXPECT_TRUE(one.is_exact);
        EXPECT_FALSE(one.before);
    }
    // Pages of all that an aggregate has, under whatever key.
    std::vector<std::string> all;
    std::optional<EventSeq> before;
    do {
        const auto one = must(wait(search_events(
            *console_, {filter("aggregate:a3"), "default", before, kSmall, true}, soon()
        )));
        EXPECT_TRUE(one.lanes.empty());
        for (const auto& event : one.events)
            all.push_back(event_ref(event.seq) + " " + std::string(to_string(event.state)));
        before = one.before;
    } while (before);
    expect_same(all, refs("e.aggregate_id = 'a3'"), "aggregate:a3 in every lane");
}

}  // namespace
}  // namespace txstream::outbox
