#include "outbox/retention.hpp"
#include "outbox/structure.hpp"
#include "pg/catalogue.hpp"
#include "tests/support/outbox_database.hpp"

namespace txstream::outbox {
namespace {

using namespace std::chrono_literals;
using tests::must;
using tests::soon;
using Action = Retention::Action;
using Kept = PartitionState::Kept;

constexpr auto kWeek = 24h * 7;

// Aim: each rule of retention alone keeps a partition, and nothing a writer or the reader relies on
// breaks meanwhile. Method: partitions of some hundred transactions, times that are moved into the
// past; the outbox belongs to a role that is no superuser, and the steps are taken as the relay's.
class RetentionPgTest : public tests::OutboxTest {
protected:
    RetentionPgTest() {
        script(
            *superuser_,
            "DROP SCHEMA txstream CASCADE; CREATE ROLE " + owner_ + "; GRANT CREATE ON DATABASE " +
                database_.name() + " TO " + owner_
        );
        auto session = connect("SET ROLE " + owner_);
        must(wait(pg::migrate_up(*session, {tests::shipped_migrations("outbox")}, soon())));
        relay_ = connect("SET ROLE txstream_relay");
    }
    ~RetentionPgTest() override {
        script(*superuser_, "DROP SCHEMA txstream CASCADE; DROP OWNED BY " + owner_);
        script(*superuser_, "DROP ROLE " + owner_);
    }

    void as_owner(const std::string& sql) {
        script(*superuser_, "SET ROLE " + owner_ + "; " + sql + "; RESET ROLE");
    }
    /// An empty outbox with these partitions: the bound between the two is `at`, an expression.
    void make_partitions(const std::string& at) {
        as_owner(
            "DO $$ DECLARE name text; here bigint := pg_snapshot_xmax(pg_current_snapshot())::text;"
            " at bigint := " +
            at +
            "; BEGIN"
            " FOREACH name IN ARRAY ARRAY(SELECT p.name FROM txstream.outbox_partitions p) LOOP"
            "  EXECUTE format('DROP TABLE txstream.%I', name); END LOOP;"
            " EXECUTE format('CREATE TABLE txstream.outbox_p0 PARTITION OF txstream.outbox"
            "  FOR VALUES FROM (MINVALUE) TO (%L)', at);"
            " EXECUTE format('CREATE TABLE txstream.outbox_tail PARTITION OF txstream.outbox"
            "  FOR VALUES FROM (%L) TO (MAXVALUE)', at); END $$"
        );
    }
    /// What is written from now on goes into a partition of its own.
    void cut() {
        as_owner(
            "DO $$ DECLARE part txstream.outbox_partitions;"
            " here text := pg_snapshot_xmax(pg_current_snapshot())::text; BEGIN"
            " SELECT * INTO part FROM txstream.outbox_partitions p WHERE p.upper_bound > "
            "here::numeric ORDER BY p.upper_bound LIMIT 1;"
            " EXECUTE format('ALTER TABLE txstream.outbox DETACH PARTITION txstream.%I', "
            "part.name);"
            " EXECUTE format('ALTER TABLE txstream.outbox ATTACH PARTITION txstream.%I FOR VALUES"
            "  FROM (%s) TO (%L)', part.name, coalesce(quote_literal(part.lower_bound), "
            "'MINVALUE'), here);"
            " EXECUTE format('CREATE TABLE txstream.%I PARTITION OF txstream.outbox FOR VALUES FROM"
            "  (%L) TO (%L)', 'outbox_x' || here, here, part.upper_bound); END $$"
        );
    }
    /// An hour ago there had been no transaction.
    void set_pace() {
        script(
            *superuser_,
            "DELETE FROM txstream.outbox_times; INSERT INTO txstream.outbox_times VALUES ('3', "
            "now() - interval '1 hour')"
        );
    }
    double here() { return std::stod(one("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")); }
    /// Transactions of other tests on this server, too.
    void let_others_end() {
        const auto ended = "SELECT (pg_snapshot_xmin(pg_current_snapshot()) >= '" +
                           one("SELECT pg_snapshot_xmax(pg_current_snapshot())::text") + "')::text";
        for (const auto give_up_at = soon(); one(ended) != "true";)
            ASSERT_FALSE(give_up_at.passed()) << "a transaction stays open";
    }
    void append(int transactions) {
        script(*superuser_, "SET synchronous_commit = off");
        script(
            *superuser_,
            "DO $$ BEGIN FOR i IN 1.." + std::to_string(transactions) +
                " LOOP PERFORM txstream.publish('T', 'key-' || i, 'E', '{}'); COMMIT; END LOOP; "
                "END $$"
        );
    }
    void publish_all(const std::string& condition = "true") {
        script(
            *superuser_,
            "UPDATE txstream.lanes SET cursor = pg_current_snapshot() WHERE " + condition
        );
    }
    void age(const std::string& by) {
        script(*superuser_, "UPDATE txstream.outbox_times SET at = at - interval '" + by + "'");
    }
    Retention::Step step(std::chrono::milliseconds events = kWeek) {
        const Retention retention(
            {.events = events, .positions = kWeek, .dead_letters = kWeek, .audit = kWeek}, ids_min_
        );
        return must(wait(retention.step(*relay_, soon())));
    }
    /// All that is due; what was dropped.
    std::string steps(std::chrono::milliseconds events = kWeek) {
        std::string dropped;
        for (int i = 0; i < 30; ++i) {
            const auto one = step(events);
            EXPECT_TRUE(wait(check_structure(*superuser_, soon()))) << to_string(one.action);
            if (one.action == Action::dropped) dropped += one.partitions + ";";
            if (!one.has_worked()) return dropped;
        }
        ADD_FAILURE() << "it does not come to an end";
        return dropped;
    }
    /// Two partitions with rows that could go, and a third in use. The first is p0.
    void fill() {
        steps();
        append(5);
        cut();
        append(5);
        cut();
        append(5);
        let_others_end();
        note();
        ASSERT_EQ(state().filled.size(), 3U);
    }
    /// A time of now is remembered, whatever was just before.
    void note() {
        age("2 hours");
        EXPECT_EQ(step().action, Action::nothing);
    }
    RetentionState state() { return must(wait(read_retention(*relay_, kWeek, soon()))); }
    Kept first_kept() {
        const auto now = state();
        return now.filled.empty() ? Kept::no : now.filled.front().kept;
    }
    std::string events() { return one("SELECT count(*)::text FROM txstream.outbox"); }
    /// A letter of the oldest event.
    void park(const std::string& columns, const std::string& values) {
        script(
            *superuser_,
            "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type, "
            "aggregate_id, event_type, key, content_type, created_at, attempts, error, " +
                columns +
                ") SELECT id, xid, event_id, lane, aggregate_type, aggregate_id, event_type, "
                "aggregate_id, content_type, created_at, 1, 'x', " +
                values + " FROM txstream.outbox ORDER BY id LIMIT 1"
        );
    }
    void expect_denied(const std::string& sql) {
        const auto done = try_script(*relay_, sql);
        ASSERT_FALSE(done) << sql;
        EXPECT_EQ(done.error().origin(), "42501") << sql;
    }

    std::int64_t ids_min_ = Retention::kIdsMin;
    const std::string owner_ = database_.name() + "_o";
    std::unique_ptr<pg::Connection> relay_;
};

TEST_F(RetentionPgTest, WhatIsOldAndPublishedIsDroppedAndNothingElse) {
    fill();
    publish_all();
    script(
        *superuser_, "INSERT INTO txstream.outbox_times VALUES ('3', now() - interval '1 year')"
    );
    EXPECT_EQ(steps(), "") << "all is young";
    EXPECT_EQ(first_kept(), Kept::age);
    age("8 days");
    EXPECT_EQ(state().filled.front().kept, Kept::no);
    const auto in_use = state().filled.back().name;
    EXPECT_NE(steps(), "");
    const auto after = state();
    ASSERT_EQ(after.filled.size(), 1U);
    EXPECT_EQ(after.filled[0].name, in_use);
    EXPECT_EQ(after.filled[0].kept, Kept::in_use);
    EXPECT_EQ(one("SELECT count(*)::text FROM txstream.outbox_partitions"), "5")
        << "the floor, the one in use, the next, one in reserve, the tail";
}

TEST_F(RetentionPgTest, NothingIsDroppedThatSomeCursorHasNotPassed) {
    fill();
    age("8 days");
    publish_all("lane <> 7");
    EXPECT_EQ(steps(), "");
    EXPECT_EQ(first_kept(), Kept::cursor);
    EXPECT_EQ(state().last_lane.lane, LaneId(7));
    EXPECT_NE(why_kept(state()).find("lane 7 has not passed it (no relay owns"), std::string::npos);
    publish_all();
    EXPECT_NE(steps(), "");
}

TEST_F(RetentionPgTest, ATransactionThatMayStillWriteIntoAPartitionKeepsIt) {
    steps();
    auto slow = connect();
    script(*slow, "BEGIN; SELECT pg_current_xact_id()");
    append(5);
    cut();
    append(1);
    note();
    publish_all();
    age("8 days");
    EXPECT_EQ(steps(), "");
    EXPECT_EQ(first_kept(), Kept::in_use);
    script(*slow, "SELECT txstream.publish('T', 'slow', 'E', '{}'); COMMIT");
    let_others_end();
    note();
    age("8 days");
    EXPECT_EQ(steps(), "") << "its event is not published";
    EXPECT_EQ(first_kept(), Kept::cursor);
    publish_all();
    EXPECT_EQ(steps(), "outbox_p0;");
}

TEST_F(RetentionPgTest, ALetterThatWaitsKeepsItsPartitionAndNoOther) {
    fill();
    publish_all();
    age("8 days");
    park("error_class, state", "'held', 'parked'");
    const auto event = one("SELECT event_id::text FROM txstream.dead_letters");
    EXPECT_EQ(first_kept(), Kept::letter);
    EXPECT_NE(why_kept(state()).find(event), std::string::npos);
    const auto second = state().filled[1].name;
    EXPECT_EQ(steps(), second + ";");
    EXPECT_EQ(first_kept(), Kept::letter);
    for (const char* waits : {"state = 'parked', error_class = 'MSG'", "state = 'replaying'"}) {
        script(*superuser_, std::string("UPDATE txstream.dead_letters SET ") + waits);
        EXPECT_EQ(steps(), "") << waits;
    }
    script(*superuser_, "UPDATE txstream.dead_letters SET state = 'discarded'");
    EXPECT_EQ(steps(), "outbox_p0;");
    EXPECT_EQ(one("SELECT count(*)::text FROM txstream.outbox_partitions"), "5");
}

TEST_F(RetentionPgTest, EachTransactionIdKeepsAPartition) {
    fill();
    publish_all();
    age("8 days");
    EXPECT_NE(steps(), "");
    for (const char* xid : {"3", "900", "9000000000000000000"}) {
        const auto inserted = try_script(
            *superuser_,
            std::string("BEGIN; INSERT INTO txstream.outbox (xid, aggregate_type, aggregate_id, "
                        "event_type) VALUES ('") +
                xid + "', 'T', 'k', 'E'); ROLLBACK"
        );
        EXPECT_TRUE(inserted) << xid;
    }
}

TEST_F(RetentionPgTest, APartitionSpansATenthOfTheRetentionAtTheRateOfLate) {
    ids_min_ = 100;
    // Of a server that has given fewer the first partition is too long for its pace, and ends
    // first.
    script(*superuser_, "SET synchronous_commit = off");
    script(
        *superuser_,
        "DO $$ BEGIN WHILE pg_current_xact_id()::text::bigint < 30000 LOOP COMMIT; END LOOP; END $$"
    );
    set_pace();
    constexpr double kHoursOfASlice = 16.8;
    const auto least = kHoursOfASlice * (here() - 3);
    EXPECT_EQ(step().action, Action::made);
    const auto most = kHoursOfASlice * (here() - 3);
    const auto next = std::stod(
        one("SELECT (upper_bound - lower_bound)::text FROM txstream.outbox_partitions WHERE "
            "upper_bound IS NOT NULL AND lower_bound IS NOT NULL ORDER BY lower_bound LIMIT 1")
    );
    EXPECT_GE(next, 0.9 * least);
    EXPECT_LE(next, 1.1 * most);
    EXPECT_EQ(steps(), "");
}

TEST_F(RetentionPgTest, ThereAreNeverThirtyPartitions) {
    ids_min_ = 100;
    make_partitions("here + 100");
    std::int64_t most = 0;
    for (int slices = 0; slices < 60; ++slices) {
        append(110);
        steps(1h);
        age("6 minutes");
        most = std::max(most, state().partitions);
    }
    EXPECT_LT(most, 30);
    EXPECT_GT(most, 20) << "nothing was dropped";
}

TEST_F(RetentionPgTest, ATailThatHoldsRowsIsEndedWhileWritersWrite) {
    make_partitions("5");
    append(500);
    set_pace();
    int written = 500;
    for (const auto expected : {Action::ending, Action::ending, Action::ending}) {
        EXPECT_EQ(step().action, expected);
        append(10);
        written += 10;
        EXPECT_TRUE(wait(check_structure(*superuser_, soon())));
    }
    steps();
    EXPECT_EQ(events(), std::to_string(written));
    EXPECT_EQ(
        one("SELECT is_empty::text FROM txstream.outbox_partitions WHERE upper_bound IS NULL"),
        "true"
    );
    EXPECT_EQ(one("SELECT count(*)::text FROM pg_constraint WHERE conname = 'outbox_ends'"), "0")
        << "a writer beyond it would fail";
    EXPECT_TRUE(
        wait(pg::schema_differences(*superuser_, {tests::shipped_migrations("outbox")}, soon()))
    );
}

TEST_F(RetentionPgTest, ABoundThatIdsComeNearToIsTakenAwayAgain) {
    make_partitions("5");
    set_pace();
    append(1);
    EXPECT_EQ(step().action, Action::ending);
    script(
        *superuser_,
        "ALTER TABLE txstream.outbox_tail DROP CONSTRAINT outbox_ends; DO $$ BEGIN EXECUTE "
        "format('ALTER "
        "TABLE txstream.outbox_tail ADD CONSTRAINT outbox_ends CHECK (xid IS NOT NULL AND xid < %L "
        "AND xid >= %L) NOT VALID', pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 50, 5);"
        " END $$"
    );
    EXPECT_EQ(step().action, Action::ending);
    EXPECT_EQ(one("SELECT count(*)::text FROM pg_constraint WHERE conname = 'outbox_ends'"), "0");
    EXPECT_EQ(
        one("SELECT is_empty::text FROM txstream.outbox_partitions WHERE upper_bound IS NULL"),
        "false"
    ) << "it was ended";
    append(100);
}

TEST_F(RetentionPgTest, AnOutboxThatIsInUseForLongIsLeftAlone) {
    fill();
    publish_all();
    age("8 days");
    auto slow = connect();
    script(*slow, "BEGIN; SELECT txstream.publish('T', 'slow', 'E', '{}')");
    const auto began = std::chrono::steady_clock::now();
    EXPECT_EQ(step().action, Action::locked);
    EXPECT_LT(std::chrono::steady_clock::now() - began, 5s) << "some 100 ms on an idle machine";
    append(1);
    script(*slow, "COMMIT");
    EXPECT_NE(steps(), "");
}

TEST_F(RetentionPgTest, OneAtATimeWorks) {
    auto other = connect("SET ROLE txstream_relay");
    script(*other, "BEGIN; SELECT txstream.maintain_outbox('7 days')");
    EXPECT_EQ(step().action, Action::busy);
    script(*other, "COMMIT");
    EXPECT_NE(step().action, Action::busy);
}

TEST_F(RetentionPgTest, InAnotherClusterItRests) {
    fill();
    publish_all();
    age("8 days");
    script(*superuser_, "UPDATE txstream.instance SET system_identifier = 1");
    EXPECT_EQ(step().action, Action::foreign);
    script(
        *superuser_,
        "UPDATE txstream.instance SET system_identifier = c.system_identifier FROM "
        "pg_control_system() c"
    );
    // A time of a cluster whose transaction ids were higher says nothing here.
    script(
        *superuser_,
        "DELETE FROM txstream.outbox_times; INSERT INTO txstream.outbox_times VALUES "
        "('9000000000', now() - interval '1 year')"
    );
    EXPECT_EQ(steps(), "");
    EXPECT_EQ(
        one("SELECT count(*)::text FROM txstream.outbox_times WHERE xid > '8000000000'"), "0"
    );
}

TEST_F(RetentionPgTest, WhereEventsAreKeptForEverNothingIsDone) {
    fill();
    publish_all();
    age("900 days");
    EXPECT_EQ(step(0ms).action, Action::nothing);
    EXPECT_EQ(must(wait(read_retention(*relay_, 0ms, soon()))).filled.front().kept, Kept::always);
}

TEST_F(RetentionPgTest, TheRelayChangesTablesByTheseStepsOnly) {
    for (const char* sql :
         {"DROP TABLE txstream.outbox_tail",
          "CREATE TABLE txstream.x PARTITION OF txstream.outbox FOR VALUES FROM ('1') TO ('2')",
          "ALTER TABLE txstream.outbox DETACH PARTITION txstream.outbox_p0",
          "DELETE FROM txstream.outbox",
          "DELETE FROM txstream.dead_letters",
          "UPDATE txstream.outbox_times SET at = '-infinity'",
          "SELECT txstream.lock_outbox()",
          "SELECT txstream.drop_outbox_partitions('1 s')",
          "SELECT txstream.grow_outbox(1, 1, 1)",
          "SELECT txstream.make_outbox_table('x')",
          "SELECT txstream.maintain_outbox_alone('1 s', 1)"})
        expect_denied(sql);
    script(*relay_, "SET ROLE txstream_reader");
    expect_denied("SELECT txstream.maintain_outbox('7 days')");
    expect_denied("SELECT txstream.forget('positions', '7 days', 1)");
    EXPECT_TRUE(wait(read_retention(*relay_, kWeek, soon())));
    script(*relay_, "SET ROLE txstream_writer");
    expect_denied("SELECT txstream.maintain_outbox('7 days')");
}

TEST_F(RetentionPgTest, OldRowsOfTheLogAreForgottenButNotWhereALaneIs) {
    give_lanes("a", "lane < 2");
    script(
        *superuser_,
        "INSERT INTO txstream.positions (lease, written_at, lanes, active, cursor, since) "
        "SELECT number, now() - interval '8 days', lanes::smallint[], 0, pg_current_snapshot(), "
        "pg_current_snapshot() FROM txstream.leases, unnest(ARRAY['{0,1}', '{0}', '{1}', '{1}']) "
        "WITH ORDINALITY AS l(lanes, n) ORDER BY n; UPDATE txstream.positions SET written_at = "
        "now() WHERE id = (SELECT max(id) FROM txstream.positions)"
    );
    const auto places =
        one("SELECT string_agg(p::text, ' ' ORDER BY lane) FROM txstream.lane_positions p");
    const Retention retention(
        {.events = kWeek, .positions = kWeek, .dead_letters = kWeek, .audit = kWeek}
    );
    EXPECT_EQ(must(wait(retention.forget(*relay_, "positions", soon()))), 2);
    EXPECT_EQ(must(wait(retention.forget(*relay_, "positions", soon()))), 0);
    EXPECT_EQ(
        one("SELECT string_agg(p::text, ' ' ORDER BY lane) FROM txstream.lane_positions p"), places
    );
}

TEST_F(RetentionPgTest, ALetterThatIsDoneIsForgottenAfterItsEventAndNoneThatWaits) {
    fill();
    publish_all();
    park("error_class, state, last_attempt_at", "'x', 'discarded', now() - interval '30 days'");
    const Retention retention(
        {.events = kWeek, .positions = kWeek, .dead_letters = kWeek, .audit = kWeek}
    );
    const auto forgotten = [&] {
        return must(wait(retention.forget(*relay_, "dead_letters", soon())));
    };
    EXPECT_EQ(forgotten(), 0) << "it says what became of the event";
    age("8 days");
    steps();
    script(*superuser_, "UPDATE txstream.dead_letters SET resolved_at = now() - interval '1 day'");
    EXPECT_EQ(forgotten(), 0) << "it was resolved yesterday";
    script(*superuser_, "UPDATE txstream.dead_letters SET resolved_at = last_attempt_at");
    for (const char* waits :
         {"state = 'parked'", "state = 'replaying'", "state = 'discarded', decided = true"}) {
        script(*superuser_, std::string("UPDATE txstream.dead_letters SET ") + waits);
        EXPECT_EQ(forgotten(), 0) << waits;
    }
    script(*superuser_, "UPDATE txstream.dead_letters SET decided = false");
    EXPECT_EQ(forgotten(), 1);
}

TEST_F(RetentionPgTest, WhatWasDoneLatelyIsNotForgottenWhoeverAsks) {
    script(
        *superuser_,
        "INSERT INTO txstream.audit (at, actor, origin, action, target, reason, affected, result) "
        "SELECT now() - age * interval '1 day', 'me', 'cli', 'a', '{}', '', 1, 'done' FROM "
        "unnest(ARRAY[31, 29]) age"
    );
    const Retention retention(
        {.events = kWeek, .positions = kWeek, .dead_letters = kWeek, .audit = 1ms}
    );
    EXPECT_EQ(must(wait(retention.forget(*relay_, "audit", soon()))), 1);
    EXPECT_EQ(must(wait(retention.forget(*relay_, "audit", soon()))), 0);
}

TEST_F(RetentionPgTest, AJobIsForgottenWhenItHasEndedAndNoLetterOfItWaits) {
    fill();
    park("error_class, state, decided, job", "'x', 'discarded', true, 2");
    script(
        *superuser_,
        "INSERT INTO txstream.jobs (kind, selection, total, actor, origin, reason, decided_at,"
        " ended_at, carried_out, parked_again) SELECT 'replay', '{\"all\": true}', 1, 'me', 'cli', "
        "'', at, at, at_all, at_all FROM (SELECT at, n, CASE WHEN at IS NOT NULL THEN 0 END AS "
        "at_all"
        " FROM unnest(ARRAY[now() - interval '8 days', now() - interval '8 days', now(), NULL])"
        " WITH ORDINALITY a(at, n)) a ORDER BY n"
    );
    const Retention retention({.jobs = kWeek});
    const auto forgotten = [&] { return must(wait(retention.forget(*relay_, "jobs", soon()))); };
    const auto left = [&] {
        return one("SELECT string_agg(id::text, ' ' ORDER BY id) FROM txstream.jobs");
    };
    EXPECT_EQ(forgotten(), 1);
    EXPECT_EQ(left(), "2 3 4") << "a letter waits, it is young, it has not ended";
    script(*superuser_, "UPDATE txstream.dead_letters SET decided = false, state = 'parked'");
    EXPECT_EQ(forgotten(), 0) << "it says who tried it";
    script(*superuser_, "UPDATE txstream.dead_letters SET state = 'discarded'");
    EXPECT_EQ(forgotten(), 1);
    EXPECT_EQ(left(), "3 4");
    EXPECT_EQ(must(wait(Retention({}).forget(*relay_, "jobs", soon()))), 0) << "for ever";
}

}  // namespace
}  // namespace txstream::outbox
