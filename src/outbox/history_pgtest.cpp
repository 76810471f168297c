#include "outbox/history.hpp"
#include "outbox/members.hpp"
#include "tests/support/outbox_database.hpp"

namespace txstream::outbox {
namespace {

using namespace std::chrono_literals;
using tests::must;
using tests::soon;

class HistoryPgTest : public tests::OutboxTest {
protected:
    static HistoryEntry entry(std::uint64_t pending) {
        HistoryEntry one;
        one.pending = pending;
        one.oldest_pending_ms = 800;
        one.appended = 1000;
        one.settled = 1000 - static_cast<std::int64_t>(pending);
        one.parked = 3;
        one.blockages = {"stalled"};
        one.p50_us = 4000;
        one.p95_us = 9000;
        one.p99_us = 20000;
        return one;
    }
    void write(const HistoryEntry& one, bool is_reporter = true) {
        must(wait(write_history(*relay_, one, is_reporter, soon())));
    }
    std::vector<HistorySlot> newest(std::size_t slots = 10) {
        return must(wait(read_newest_history(*reader_, slots, soon())));
    }
    /// A row for each ten seconds of the last `hours`, without what is written by hand.
    void fill(const std::string& hours, const std::string& values) {
        script(
            *superuser_,
            "INSERT INTO txstream.history (at, slot, pending, is_estimate, oldest_pending_ms, "
            "appended,"
            " settled, parked, breaker, blockages, lanes_owned, relays)"
            " SELECT at, floor(extract(epoch FROM at) / 10)::bigint % 8640, " +
                values + " FROM generate_series(now() - interval '" + hours +
                " hours' + interval '10 seconds', now(), interval '10 seconds') WITH ORDINALITY AS "
                "s(at, n)"
                " ON CONFLICT (slot) DO NOTHING"
        );
    }

    std::unique_ptr<pg::Connection> relay_ =
        connect(std::string(kReaderSettings) + "SET ROLE txstream_relay");
    std::unique_ptr<pg::Connection> reader_ = connect("SET ROLE txstream_reader");
};

TEST_F(HistoryPgTest, ASlotHasWhatTheReporterSaysAndWhatTheMembersReport) {
    give_lanes("a/1", "lane < 30");
    Member other;
    other.name = "b";
    other.breaker = "half_open";
    other.blockages = R"([{"code":"topic_refused"},{"code":"stalled"}])";
    must(wait(write_member(*relay_, other, soon())));
    other.name = "dead";
    other.breaker = "open";
    other.blockages = R"([{"code":"no_worker"}])";
    must(wait(write_member(*relay_, other, soon())));
    script(
        *superuser_,
        "UPDATE txstream.members SET seen_at = now() - interval '1 hour' WHERE name = 'dead'"
    );
    write(entry(7));
    const auto slot = newest().at(0);
    EXPECT_EQ(slot.pending, 7U);
    EXPECT_EQ(slot.oldest_pending_ms, 800);
    EXPECT_EQ(slot.appended, 1000);
    EXPECT_EQ(slot.settled, 993);
    EXPECT_EQ(slot.parked, 3U);
    EXPECT_EQ(slot.breaker, 1) << "the worst of the living";
    EXPECT_EQ(slot.blockages, (std::vector<std::string>{"stalled", "topic_refused"}));
    EXPECT_EQ(slot.p99_us, 20000);
    EXPECT_EQ(slot.lanes_owned, 30);
    EXPECT_EQ(slot.relays, 1);
    EXPECT_LT(slot.age, 10s);
}

TEST_F(HistoryPgTest, OneThatIsNoReporterFillsASlotOnlyWhileThereIsNoReporter) {
    write(entry(1), false);
    ASSERT_EQ(newest().size(), 1U) << "the first lane has no owner";
    script(*superuser_, "TRUNCATE txstream.history");
    give_lanes("a/1", "true");
    write(entry(1), false);
    EXPECT_TRUE(newest().empty());
    end_lease("a/1");
    write(entry(1), false);
    EXPECT_EQ(newest().size(), 1U) << "the owner of the first lane is dead";
}

TEST_F(HistoryPgTest, TheTableNeverHasMoreThanADay) {
    fill("24", "1, false, NULL, 0, 0, 0, 0, '{}', 32, 1");
    const auto count = [&] {
        return std::stoi(one("SELECT count(*)::text FROM txstream.history"));
    };
    EXPECT_GE(count(), 8639);
    for (int i = 0; i < 3; ++i) write(entry(5));
    EXPECT_LE(count(), 8640) << "a slot is written again, in its place";
    EXPECT_EQ(newest(1).at(0).pending, 5U);
    script(*superuser_, "UPDATE txstream.history SET at = at - interval '1 day'");
    EXPECT_TRUE(newest().empty()) << "slots of yesterday that nobody wrote again are no news";
}

TEST_F(HistoryPgTest, ASeriesOfADayHas360PointsAndKeepsThePeaks) {
    fill(
        "24", "CASE WHEN n % 24 = 5 THEN 100 ELSE 1 END, false, n, n * 10, n * 9, 0, 0, '{}', 32, 1"
    );
    for (const auto [hours, step] :
         {std::pair{1h, 10s}, std::pair{6h, 60s}, std::pair{24h, 240s}}) {
        const auto points = must(wait(read_history(*reader_, hours, step, soon())));
        EXPECT_GE(points.size(), 359U) << hours.count();
        EXPECT_LE(points.size(), 361U) << hours.count();
        for (std::size_t i = 1; i < points.size(); ++i) {
            EXPECT_EQ(points[i].at - points[i - 1].at, step.count());
            EXPECT_GT(points[i].appended, points[i - 1].appended);
        }
    }
    const auto day = must(wait(read_history(*reader_, 24h, 240s, soon())));
    EXPECT_EQ(day.at(100).pending, 100U);
}

TEST_F(HistoryPgTest, ChangesAreTheSlotsThatDifferFromTheOneBefore) {
    fill(
        "2",
        "1, false, NULL, 0, 0, CASE WHEN n < 300 THEN 0 ELSE 5 END, CASE WHEN n BETWEEN 100 AND "
        "120 "
        "THEN 2 ELSE 0 END, CASE WHEN n BETWEEN 200 AND 220 THEN ARRAY['topic_refused'] ELSE '{}' "
        "END, 32, 1"
    );
    script(
        *superuser_,
        "DELETE FROM txstream.history WHERE at BETWEEN now() - interval '40 minutes' AND now() - "
        "interval '35 minutes'"
    );
    const auto changes = must(wait(read_history_changes(*reader_, 100, soon())));
    ASSERT_EQ(changes.size(), 7U) << "the first, two of each transition, dead letters, a gap";
    EXPECT_FALSE(changes[0].before);
    EXPECT_EQ(changes[1].before->breaker, 0);
    EXPECT_EQ(changes[1].now.breaker, 2);
    EXPECT_EQ(changes[2].now.breaker, 0);
    EXPECT_EQ(changes[3].now.blockages, std::vector<std::string>{"topic_refused"});
    EXPECT_EQ(changes[5].now.parked, 5U);
    EXPECT_EQ(changes[5].before->parked, 0U);
    EXPECT_GT(changes[6].now.at - changes[6].before->at, 299s);
    EXPECT_EQ(must(wait(read_history_changes(*reader_, 2, soon()))).size(), 2U);
}

}  // namespace
}  // namespace txstream::outbox
