#include "outbox/backlog.hpp"
#include "outbox/event_log.hpp"
#include "outbox/reader.hpp"
#include "tests/support/outbox_database.hpp"

#include <cstdio>
#include <regex>

namespace txstream::outbox {
namespace {

using tests::must;
using tests::soon;

// Aim: no statement of the hot path reads what it does not need, however large the table is.
// Method: EXPLAIN ANALYZE of the statements as the sessions have them, on two partitions of 100,000
// events, and bounds on the pages they touch. Pages, unlike times, are the same on every machine.
class PlansPgTest : public tests::OutboxTest {
protected:
    PlansPgTest() : start_(now()) {
        for (std::int16_t lane = 0; lane < 32; ++lane) all_lanes_.emplace_back(lane);
    }
    void fill(int transactions) {
        script(
            *superuser_,
            "DO $$ BEGIN FOR i IN 1.." + std::to_string(transactions) +
                " LOOP INSERT INTO txstream.outbox"
                " (aggregate_type, aggregate_id, event_type, payload) SELECT 'T', 'key-' || (i * "
                "100 + n), 'Happened', '{}' FROM generate_series(1, 100) n; COMMIT; END LOOP; END "
                "$$"
        );
    }
    void split() {
        script(*superuser_, R"(DO $$
            DECLARE
                upper text := (SELECT substring(pg_get_expr(relpartbound, oid) FROM '''(\d+)''')
                    FROM pg_class WHERE oid = 'txstream.outbox_tail'::regclass);
                at text := (pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 1)::text;
            BEGIN
                ALTER TABLE txstream.outbox DETACH PARTITION txstream.outbox_p0;
                EXECUTE format('ALTER TABLE txstream.outbox ATTACH PARTITION txstream.outbox_p0'
                    ' FOR VALUES FROM (MINVALUE) TO (%L)', at);
                EXECUTE format('CREATE TABLE txstream.outbox_p1 PARTITION OF txstream.outbox'
                    ' FOR VALUES FROM (%L) TO (%L)', at, upper);
            END $$)");
    }
    void fill_two_partitions() {
        script(*superuser_, "SET synchronous_commit = off");
        fill(1000);
        split();
        fill(990);
        recent_ = now();
        fill(10);
        ASSERT_EQ(
            rows("SELECT count(DISTINCT tableoid)::text FROM txstream.outbox"),
            std::vector<std::string>{"2"}
        );
    }
    Snapshot now() { return must(wait(current_snapshot(*reader_, soon()))); }

    struct Plan {
        std::string text;
        int pages = 0;
        bool has(const std::string& words) const { return text.find(words) != std::string::npos; }
    };
    Plan plan(pg::Connection& session, const std::string& call) {
        return plan_of(session, "EXECUTE " + call);
    }
    Plan plan_of(pg::Connection& session, const std::string& sql) {
        Plan result;
        const auto lines =
            rows(session, "EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) " + sql);
        static const std::regex buffers(R"(^ *Buffers: shared(?: hit=(\d+))?(?: read=(\d+))?.*)");
        for (const auto& line : lines) {
            std::smatch found;
            if (result.pages == 0 && std::regex_match(line, found, buffers)) {
                for (const std::size_t group : {1U, 2U})
                    if (found[group].matched) result.pages += std::stoi(found[group]);
            }
            result.text += line + "\n";
        }
        return result;
    }
    static std::string quoted(const Snapshot& snapshot) { return "'" + snapshot.text() + "'"; }
    std::string window_call(const std::string& name, const Snapshot& cursor, const Snapshot& target)
        const {
        return name + "('" + kAllLanes + "', '" + std::to_string(cursor.xmax()) + "', '" +
               std::to_string(target.xmax()) + "', " + quoted(target) + ", '{}'";
    }
    void no_scan_of_events(const Plan& plan) {
        // Not the tail, which is empty.
        for (const char* table : {"Scan on outbox_p0", "Scan on outbox_p1"}) {
            EXPECT_FALSE(plan.has(std::string("Seq ") + table)) << plan.text;
            EXPECT_FALSE(plan.has(std::string("Bitmap Heap ") + table)) << plan.text;
        }
    }

    /// Bytes of an event.
    const std::string kRestOfLimit = ", 4000)";
    std::unique_ptr<pg::Connection> reader_ = connect(kReaderSettings);
    std::vector<LaneId> all_lanes_;
    /// The bits of these.
    const std::string kAllLanes = "\\x" + std::string(8, 'f') + std::string(56, '0');
    Snapshot start_;
    Snapshot recent_;
};

TEST_F(PlansPgTest, AReaderTouchesWhatItReadsAndOnlyThePartitionsOfItsWindow) {
    fill_two_partitions();
    const auto target = now();
    must(wait(read_window(*reader_, all_lanes_, recent_, target, tests::rows_at_most(10), soon())));
    must(wait(first_id(*reader_, recent_, target, {})));
    must(wait(highest_id(*reader_, soon())));
    for (const auto count : {PageLimit::Count::shares, PageLimit::Count::sum}) {
        auto limit = tests::rows_at_most(10);
        limit.count = count;
        must(send_page(
            *reader_,
            {.lanes = all_lanes_,
             .cursor = recent_,
             .target = target,
             .after = EventSeq(0),
             .up_to = EventSeq(1'000'000),
             .limit = limit}
        ));
        must(wait(receive_page(*reader_, soon())));
    }

    const auto poll =
        plan(*reader_, window_call("txs_window", recent_, target) + ", 10000" + kRestOfLimit);
    no_scan_of_events(poll);
    EXPECT_TRUE(poll.has("Subplans Removed: 2")) << "only the newest partition\n" << poll.text;
    EXPECT_LT(poll.pages, 1500) << "1,000 events\n" << poll.text;

    const auto idle =
        plan(*reader_, window_call("txs_window", target, target) + ", 10000" + kRestOfLimit);
    EXPECT_LT(idle.pages, 100) << "nothing is new\n" << idle.text;

    const auto full =
        plan(*reader_, window_call("txs_window", start_, target) + ", 1000" + kRestOfLimit);
    EXPECT_LT(full.pages, 1500) << "the limit ends the reading\n" << full.text;

    const auto first_call = [&](const Snapshot& cursor, const char* rows) {
        return "txs_first_id('" + std::to_string(cursor.xmax()) + "', '" +
               std::to_string(target.xmax()) + "', " + rows + ")";
    };
    const auto first = plan(*reader_, first_call(recent_, "100000"));
    no_scan_of_events(first);
    EXPECT_TRUE(first.has("Subplans Removed: 2")) << first.text;
    EXPECT_TRUE(first.has("Index Only Scan")) << first.text;
    EXPECT_LT(first.pages, 200) << first.text;
    const auto step = plan(*reader_, first_call(start_, "100"));
    no_scan_of_events(step);
    EXPECT_FALSE(step.has("->  Sort")) << "the index brings the order\n" << step.text;
    EXPECT_LT(step.pages, 200) << "the limit ends the step, of 200,000 events\n" << step.text;
    EXPECT_LT(plan(*reader_, "txs_highest_id").pages, 20);

    for (const char* after : {"0", "150000"}) {
        const auto page = plan(
            *reader_,
            "txs_page('" + kAllLanes + "', " + quoted(target) + ", " + quoted(start_) + ", " +
                after + ", '3', 1000000, '3', 1000" + kRestOfLimit
        );
        no_scan_of_events(page);
        EXPECT_FALSE(page.has("->  Sort")) << "a page must not sort its window\n" << page.text;
        EXPECT_TRUE(page.has("_pkey")) << page.text;
        // A page of the table holds some 50 events, and each event is looked up by its index.
        EXPECT_LT(page.pages, 1100) << page.text;
        const auto by_sum = plan(
            *reader_,
            "txs_page_by_sum('" + kAllLanes + "', " + quoted(target) + ", " + quoted(start_) +
                ", " + after + ", '3', 1000000, '3', 1000, 1000000, 4000000)"
        );
        no_scan_of_events(by_sum);
        EXPECT_FALSE(by_sum.has("->  Sort")) << by_sum.text;
        EXPECT_LT(by_sum.pages, 1100) << by_sum.text;
    }
}

// A backlog may be larger than memory.
TEST_F(PlansPgTest, TheLowestIdOfABacklogIsFoundInTheIndexAlone) {
    fill(200);
    script(*superuser_, "VACUUM txstream.outbox");
    const auto target = now();
    must(wait(first_id(*reader_, start_, target, {.rows = 100})));
    const auto all = plan(
        *reader_,
        "txs_first_id('" + std::to_string(start_.xmax()) + "', '" + std::to_string(target.xmax()) +
            "', 100000)"
    );
    EXPECT_TRUE(all.has("Index Only Scan")) << all.text;
    EXPECT_LT(all.pages, 200) << "20,000 events take 400 pages and more\n" << all.text;
    const auto one = plan(*reader_, "txs_first_id_of_one('" + std::to_string(start_.xmax()) + "')");
    EXPECT_TRUE(one.has("Index Only Scan")) << one.text;
}

// Few transactions, each with many events: statistics say that any event is soon followed by one of
// the transaction, and the order of ids, that all others come before it.
TEST_F(PlansPgTest, TheLowestIdOfALargeTransactionIsFoundWithoutWalkingTheTable) {
    const auto append = [&] {
        script(
            *superuser_,
            "INSERT INTO txstream.outbox (aggregate_type, aggregate_id, event_type, payload)"
            " SELECT 'T', 'key-' || n, 'Happened', to_json(repeat('x', 500))"
            " FROM generate_series(1, 6400) n"
        );
    };
    for (int i = 0; i < 9; ++i) append();
    const auto cursor = now();
    append();
    script(*superuser_, "ANALYZE txstream.outbox");
    const auto target = now();
    must(wait(first_id(*reader_, cursor, target, {.rows = 100})));
    const auto step = plan(
        *reader_,
        "txs_first_id('" + std::to_string(cursor.xmax()) + "', '" + std::to_string(target.xmax()) +
            "', 100)"
    );
    EXPECT_FALSE(step.has("_pkey")) << "in the order of ids\n" << step.text;
    EXPECT_LT(step.pages, 200) << "100 events of 6,400\n" << step.text;
    const auto one = plan(*reader_, "txs_first_id_of_one('" + std::to_string(cursor.xmax()) + "')");
    EXPECT_FALSE(one.has("_pkey")) << "in the order of ids\n" << one.text;
}

TEST_F(PlansPgTest, TheBacklogIsMeasuredWithoutReadingWhatIsKnown) {
    fill_two_partitions();
    BacklogMeter meter;
    for (int i = 0; i < 2; ++i) {
        const auto backlog = must(wait(meter.measure(*reader_, soon())));
        EXPECT_TRUE(backlog.is_estimate) << "half of it was walked over";
        EXPECT_NEAR(static_cast<double>(backlog.pending), 200'000, 2'000);
    }
    // Where the lanes are: of each its row, its lease, and a look at the key of each of the log's
    // two partitions.
    constexpr int kPositionsPages = 32 * (1 + 1 + 2 * 2);
    const auto next =
        plan(*reader_, "txs_backlog_next('" + std::to_string(recent_.xmax()) + "', '{}')");
    no_scan_of_events(next);
    EXPECT_LT(next.pages, kPositionsPages + 150) << "1,000 events are new\n" << next.text;
    const auto idle =
        plan(*reader_, "txs_backlog_next('" + std::to_string(now().xmax()) + "', '{}')");
    EXPECT_LT(idle.pages, kPositionsPages + 30) << idle.text;
    const auto oldest = [&](const char* what) {
        const auto found = plan(*reader_, "txs_backlog_oldest(NULL, 10000)");
        no_scan_of_events(found);
        EXPECT_LT(found.pages, kPositionsPages + 50) << what << "\n" << found.text;
    };
    const auto counted = [&](const char* rows, int pages, const char* what) {
        const auto first = plan(*reader_, std::string("txs_backlog_first(") + rows + ")");
        no_scan_of_events(first);
        EXPECT_LT(first.pages, kPositionsPages + pages) << what << "\n" << first.text;
    };
    oldest("all pending");
    counted("320", 80, "all pending, 320 counted");
    // Without the transactions that other tests have open on this server.
    script(
        *superuser_,
        "UPDATE txstream.lanes SET cursor = format('%1$s:%1$s:',"
        " pg_snapshot_xmax(pg_current_snapshot()))::pg_snapshot"
    );
    counted("100000", 50, "all published");
    oldest("all published");
    script(
        *superuser_, "UPDATE txstream.lanes SET cursor = '" + start_.text() + "' WHERE lane = 3"
    );
    counted("640", 80, "one lane is far behind the others");
    oldest("one lane is far behind the others");
    script(
        *superuser_,
        "UPDATE txstream.lanes SET cursor = '" + start_.text() +
            "', target = pg_current_snapshot(), last_id = 199000 + lane"
    );
    oldest("nearly paged");
    counted("320", 80, "nearly paged");
}

// Planned for its values, with and without statistics. The statement is not prepared: after a few
// deep pages PostgreSQL would keep a plan that knows no limit.
TEST_F(PlansPgTest, TheNewestEventsAreFoundFromTheEndOfThePrimaryKey) {
    const auto api = connect("");
    std::string newest_100 = kNewestEvents.sql;
    for (const auto& [parameter, value] :
         {std::pair("$1", "100"),
          std::pair("$2", "0"),
          std::pair("$3", "1000000"),
          std::pair("$4", "1000000")}) {
        for (auto at = newest_100.find(parameter); at != std::string::npos;
             at = newest_100.find(parameter))
            newest_100.replace(at, 2, value);
    }
    EXPECT_LT(plan_of(*api, newest_100).pages, 1000) << "an empty table";
    fill_two_partitions();
    for (const char* statistics : {"SELECT 1", "ANALYZE"}) {
        script(*superuser_, statistics);
        const auto newest = plan_of(*api, newest_100);
        no_scan_of_events(newest);
        EXPECT_LT(newest.pages, 1500) << statistics << "\n" << newest.text;
    }
    must(wait(newest_events(*api, {.limit = 10, .offset = 0, .bytes_max = 1 << 20}, soon())));
    EXPECT_EQ(
        rows(
            *api,
            std::string("SELECT count(*)::text FROM pg_prepared_statements WHERE name = '") +
                kNewestEvents.name + "'"
        ),
        std::vector<std::string>{"0"}
    );
}

// With and without statistics, in a reader's session and in anyone's: backwards to the first row
// that names the lane.
TEST_F(PlansPgTest, WhereTheLanesAreIsFoundAtTheEndOfTheLog) {
    give_lanes("a/1", "true");
    script(
        *superuser_,
        "INSERT INTO txstream.positions (lease, lanes, active, published, cursor, since, events,"
        "  first_event, last_event)"
        " SELECT number, CASE WHEN n % 20 = 0 THEN '{0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,"
        "18,19,20,21,22,23,24,25,26,27,28,29,30,31}' ELSE '{1,2}' END::smallint[], 1,"
        "  array_fill(n::bigint, ARRAY[32]), format('%s:%1$s:', 1000 + n)::pg_snapshot,"
        "  format('%s:%1$s:', 999 + n)::pg_snapshot, 100, n * 100, n * 100 + 99"
        " FROM txstream.leases, generate_series(1, 30000) n"
    );
    const auto anyone = connect();
    for (const char* statistics : {"SELECT 1", "ANALYZE txstream.positions"}) {
        script(*superuser_, statistics);
        for (auto* session : {reader_.get(), anyone.get()}) {
            const auto found = plan_of(*session, "SELECT * FROM txstream.lane_positions");
            EXPECT_LT(found.pages, 400) << found.text;
            EXPECT_TRUE(found.has("Backward using positions_p0_pkey")) << found.text;
            if (session == reader_.get()) {
                // Its price is beyond all others: joined with it, all plans cost the same.
                EXPECT_FALSE(found.has("Seq Scan")) << found.text;
            }
        }
    }
    EXPECT_EQ(
        rows("SELECT DISTINCT published::text FROM txstream.lane_positions"),
        std::vector<std::string>{"30000"}
    );
}

TEST_F(PlansPgTest, ABacklogOfNearlyAHundredThousandEventsIsExactBeforeAndAfterTheirPublication) {
    constexpr int kTransactions = 990;
    script(*superuser_, "SET synchronous_commit = off");
    fill(kTransactions);
    const auto timed = [&](BacklogMeter& meter, const char* what) {
        const auto begin = std::chrono::steady_clock::now();
        const auto backlog = must(wait(meter.measure(*reader_, soon())));
        const std::chrono::duration<double, std::milli> took =
            std::chrono::steady_clock::now() - begin;
        EXPECT_FALSE(backlog.is_estimate) << what;
        std::printf("backlog of %d events, %s: %.1f ms\n", kTransactions * 100, what, took.count());
        return backlog.pending;
    };
    BacklogMeter meter;
    EXPECT_EQ(timed(meter, "pending, first"), kTransactions * 100U);
    EXPECT_EQ(timed(meter, "pending, later"), kTransactions * 100U);
    script(
        *superuser_,
        "UPDATE txstream.lanes l SET cursor = pg_current_snapshot(), published ="
        " (SELECT count(*) FROM txstream.outbox o WHERE o.lane = l.lane)"
    );
    EXPECT_EQ(timed(meter, "published, later"), 0U);
    meter.forget();
    EXPECT_EQ(timed(meter, "published, first"), 0U);
}

}  // namespace
}  // namespace txstream::outbox
