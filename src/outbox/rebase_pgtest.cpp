#include "outbox/instance.hpp"
#include "outbox/rebase.hpp"
#include "tests/support/outbox_database.hpp"

#include <fmt/format.h>

namespace txstream::outbox {
namespace {

using namespace std::chrono_literals;
using tests::must;
using tests::soon;

/// What a restore leaves behind, written by hand: rows and cursors of another cluster.
class RebasePgTest : public tests::OutboxTest {
protected:
    struct Copied {
        std::int64_t id;
        std::int64_t xid;
        std::string key = "k";
    };

    RebaseSurvey survey(RebaseRule rule = {}) {
        return must(wait(survey_rebase(*superuser_, rule, soon())));
    }
    Result<Rebased> try_rebase(RebaseRule rule = {}, const std::string& reason = "a restore") {
        return wait(rebase(*superuser_, rule, {"me@host", "cli", "", reason}, soon()));
    }
    Rebased rebase_it(RebaseRule rule = {}) { return must(try_rebase(rule)); }

    std::int64_t next_id() {
        return std::stoll(one("SELECT pg_snapshot_xmax(pg_current_snapshot())::text"));
    }
    void use_up_ids(int count) {
        for (int i = 0; i < count; ++i) script(*superuser_, "SELECT pg_current_xact_id()");
    }
    void come_from_elsewhere(const std::string& cursor) {
        script(
            *superuser_,
            "UPDATE txstream.instance SET system_identifier = 1; UPDATE txstream.lanes SET cursor ="
            " '" +
                cursor + "'"
        );
    }
    /// Rows as one COPY of a restore writes them.
    void copy(const std::vector<Copied>& rows) {
        std::string sql = "BEGIN;";
        for (const auto& row : rows)
            sql += fmt::format(
                "INSERT INTO txstream.outbox (id, xid, aggregate_type, aggregate_id, event_type)"
                " OVERRIDING SYSTEM VALUE VALUES ({0}, '{1}', 'T', '{2}', 'copied {0}.{1}');",
                row.id,
                row.xid,
                row.key
            );
        sql += fmt::format("SELECT setval('txstream.outbox_id_seq', {}); COMMIT", rows.back().id);
        script(*superuser_, sql);
    }
    void write(const std::string& name) {
        script(*superuser_, "SELECT txstream.publish('T', 'k', '" + name + "', '{}')");
    }
    void park(std::int64_t id) {
        script(
            *superuser_,
            fmt::format(
                "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type,"
                " aggregate_id, event_type, key, content_type, created_at, attempts, error_class,"
                " error) SELECT id, xid, event_id, lane, aggregate_type, aggregate_id, event_type,"
                " aggregate_id, content_type, created_at, 1, 'REFUSED', 'why' FROM txstream.outbox"
                " WHERE id = {}",
                id
            )
        );
    }
    /// "event type: status" of each, in the order in which they would be read.
    std::vector<std::string> statuses() {
        return rows("SELECT event_type || ': ' || status FROM txstream.events ORDER BY id, xid");
    }
    std::int64_t pending() {
        return std::stoll(one("SELECT count(*)::text FROM txstream.events WHERE status = 'pending'")
        );
    }
    void expect_decided() {
        EXPECT_TRUE(wait(check_instance(*superuser_, soon())));
        EXPECT_EQ(one("SELECT count(*)::text FROM txstream.leases"), "0");
        EXPECT_EQ(one("SELECT count(DISTINCT cursor::text)::text FROM txstream.lanes"), "1");
    }
};

TEST_F(RebasePgTest, AnOutboxThatIsThisDatabasesOwnStaysAsItIs) {
    write("one");
    EXPECT_EQ(survey().why, "");
    EXPECT_EQ(rebase_it().why, "");
    EXPECT_EQ(one("SELECT max(epoch)::text FROM txstream.lanes"), "0");
    EXPECT_EQ(one("SELECT count(*)::text FROM txstream.audit"), "0");
    EXPECT_EQ(pending(), 1);
}

TEST_F(RebasePgTest, WhereIdsStartLowerTheCopysCursorsDecideAboutWhatCameWithThem) {
    come_from_elsewhere("4000000100:4000000200:4000000150");
    copy(
        {{1, 4000000050},
         {2, 4000000150},
         {3, 4000000160},
         {4, 4000000170},
         {5, 4000000210},
         {6, 4000000150}}
    );
    park(4);
    script(
        *superuser_,
        "INSERT INTO txstream.dead_letters (id, xid, event_id, lane, aggregate_type, aggregate_id,"
        " event_type, key, content_type, created_at, state, attempts, error_class, error) VALUES"
        " (0, '4000000001', gen_random_uuid(), 0, 'T', 'k', 'gone', 'k', 'x', now(), 'replayed', 1,"
        " 'E', 'e')"
    );
    write("new");
    const auto before = survey();
    EXPECT_NE(before.why.find("system identifier"), std::string::npos) << before.why;
    EXPECT_EQ(before.pending, 4);
    EXPECT_EQ(before.again, 0);
    EXPECT_EQ(before.parked, 1);
    EXPECT_FALSE(before.is_bound);
    const auto done = rebase_it();
    EXPECT_EQ(done.pending, 4);
    EXPECT_EQ(done.again, 0);
    EXPECT_EQ(done.moved, 3);
    EXPECT_EQ(
        statuses(),
        (std::vector<std::string>{
            "copied 1.4000000050: published",
            "copied 2.4000000150: pending",
            "copied 3.4000000160: published",
            "copied 4.4000000170: parked",
            "copied 5.4000000210: pending",
            "copied 6.4000000150: pending",
            "new: pending"
        })
    );
    expect_decided();
    // Nothing is left that ids could catch up with.
    EXPECT_EQ(
        one("SELECT (SELECT count(*) FROM txstream.outbox WHERE xid > '4000000000')"
            " + (SELECT count(*) FROM txstream.dead_letters WHERE xid > '4000000000') || ''"),
        "0"
    );
    EXPECT_EQ(
        one("SELECT actor || ' ' || origin || ' ' || action || ' ' || reason || ' ' || affected"
            " FROM txstream.audit"),
        "me@host cli outbox rebase a restore 4"
    );
}

TEST_F(RebasePgTest, WhereIdsAreAheadOnlyWhatWaitsIsWritten) {
    come_from_elsewhere("150:160:155");
    copy({{1, 120}, {2, 155}, {3, 158}, {4, 170}});
    script(*superuser_, "INSERT INTO txstream.outbox_times VALUES ('130', now())");
    write("new");
    EXPECT_EQ(survey().pending, 3);
    EXPECT_EQ(survey().again, 0);
    const auto done = rebase_it();
    EXPECT_EQ(done.pending, 3);
    EXPECT_EQ(done.again, 0);
    EXPECT_EQ(done.moved, 0);
    EXPECT_EQ(
        rows("SELECT status FROM txstream.events ORDER BY id"),
        (std::vector<std::string>{"published", "pending", "published", "pending", "pending"})
    );
    EXPECT_EQ(one("SELECT xid::text FROM txstream.outbox WHERE id = 1"), "120");
    EXPECT_EQ(one("SELECT count(*)::text FROM txstream.outbox_times"), "1");
    expect_decided();
}

TEST_F(RebasePgTest, WhereIdsCrossRowsOfOneCopyProveThatTheyWereCopied) {
    use_up_ids(30);
    const auto last = next_id() - 5;
    come_from_elsewhere(fmt::format("{0}:{0}:", last));
    copy({{1, last - 10}, {2, last - 9}, {3, last + 1}});
    EXPECT_EQ(survey().pending, 1);
    EXPECT_EQ(rebase_it().again, 0);
    EXPECT_EQ(pending(), 1);
    expect_decided();
}

TEST_F(RebasePgTest, WhatCannotBeProvenToHaveComeWithTheCopyIsSentAndCounted) {
    use_up_ids(30);
    const auto last = next_id() + 10;
    for (int i = 0; i < 3; ++i) write("here");
    // In a transaction of its own, which might have had a savepoint here.
    copy({{100, next_id() - 20}});
    use_up_ids(20);
    come_from_elsewhere(fmt::format("{0}:{0}:", last));
    const auto before = survey();
    EXPECT_EQ(before.pending, 4);
    EXPECT_EQ(before.again, 4);
    EXPECT_EQ(rebase_it().pending, 4);
    EXPECT_EQ(pending(), 4);
}

TEST_F(RebasePgTest, ByIdsAnOperatorDecidesWhatWasPublished) {
    for (int i = 0; i < 5; ++i) write("here");
    come_from_elsewhere("3:3:");
    park(5);
    EXPECT_EQ(survey({.first_pending = 3}).pending, 2);
    EXPECT_EQ(rebase_it({.first_pending = 3}).pending, 2);
    EXPECT_EQ(
        rows("SELECT status FROM txstream.events ORDER BY id"),
        (std::vector<std::string>{"published", "published", "pending", "pending", "parked"})
    );
}

TEST_F(RebasePgTest, AnIdThatWasGivenTwiceStaysTwoEvents) {
    come_from_elsewhere("4000000100:4000000100:");
    copy({{7, 4000000010}, {7, 4000000020}, {8, 4000000110}, {8, 4000000120}});
    // Of an earlier rebase.
    copy({{7, 3}, {9, 4000000030}});
    const auto done = rebase_it();
    EXPECT_EQ(done.pending, 2);
    EXPECT_EQ(
        statuses(),
        (std::vector<std::string>{
            "copied 7.3: published",
            "copied 7.4000000010: published",
            "copied 7.4000000020: published",
            "copied 8.4000000110: pending",
            "copied 8.4000000120: pending",
            "copied 9.4000000030: published"
        })
    );
    // Those of the moved rows belong to whoever begins next; in this cluster others do, too, and
    // their transactions may take a while.
    const auto are_visible = [this] {
        return one(
            "SELECT bool_and(pg_visible_in_snapshot(xid, pg_current_snapshot()))::text FROM"
            " txstream.outbox"
        );
    };
    const auto give_up_at = soon();
    while (are_visible() != "true" && !give_up_at.passed()) use_up_ids(1);
    EXPECT_EQ(are_visible(), "true");
}

TEST_F(RebasePgTest, WhatWasWrittenUnderIdsThatWereGivenBeforeComesBehindWhatWasCopied) {
    come_from_elsewhere("4000000100:4000000100:");
    copy({{10, 4000000010}, {11, 4000000110}, {12, 4000000120}});
    script(
        *superuser_,
        "ALTER SEQUENCE txstream.outbox_id_seq RESTART; ALTER SEQUENCE txstream.audit_id_seq "
        "RESTART"
    );
    write("first");
    write("second");
    EXPECT_FALSE(try_rebase({.first_pending = 5})) << "ids do not decide here";
    const auto done = rebase_it();
    EXPECT_EQ(done.renumbered, 2);
    EXPECT_EQ(done.pending, 4);
    EXPECT_EQ(
        statuses(),
        (std::vector<std::string>{
            "copied 10.4000000010: published",
            "copied 11.4000000110: pending",
            "copied 12.4000000120: pending",
            "first: pending",
            "second: pending"
        })
    );
    write("third");
    EXPECT_EQ(statuses().back(), "third: pending");
}

TEST_F(RebasePgTest, AfterAnUpgradeRowsAreOlderThanTheirTableAndTheirCursorsCount) {
    for (int i = 0; i < 3; ++i) write("published");
    script(*superuser_, "UPDATE txstream.lanes SET cursor = pg_current_snapshot()");
    write("waits");
    // pg_upgrade writes the catalogue anew and keeps the rows.
    script(
        *superuser_,
        "SET allow_system_table_mods = on; UPDATE pg_attribute SET attstattarget = attstattarget"
        " WHERE attrelid = 'txstream.outbox'::regclass AND attname = 'ctid';"
        "UPDATE txstream.instance SET system_identifier = 1"
    );
    const auto done = rebase_it();
    EXPECT_EQ(done.pending, 1);
    EXPECT_EQ(done.again, 0);
    EXPECT_EQ(pending(), 1);
    expect_decided();
}

TEST_F(RebasePgTest, WhileARelayLivesNothingIsDecided) {
    come_from_elsewhere("3:3:");
    give_lanes("relay-1/0", "true");
    const auto refused = try_rebase();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().origin(), kRebaseOrigin);
    EXPECT_NE(refused.error().what().find("relay-1/0"), std::string::npos)
        << refused.error().what();
    EXPECT_FALSE(superuser_->in_transaction());
    end_lease("relay-1/0");
    EXPECT_TRUE(try_rebase());
    expect_decided();
}

TEST_F(RebasePgTest, WhoDoesNotOwnTheTablesIsToldWhoDoes) {
    come_from_elsewhere("3:3:");
    const auto session = connect("SET ROLE txstream_operator");
    const auto refused = wait(survey_rebase(*session, {}, soon()));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().origin(), "42501");
    EXPECT_NE(refused.error().what().find("txstream_operator does not"), std::string::npos)
        << refused.error().what();
}

TEST_F(RebasePgTest, AFailureLeavesNothingBehind) {
    come_from_elsewhere("4000000100:4000000100:");
    copy({{10, 4000000010}, {11, 4000000110}});
    script(*superuser_, "ALTER SEQUENCE txstream.outbox_id_seq RESTART");
    write("new");
    // The audit takes no such reason, and it is written last.
    EXPECT_FALSE(try_rebase({}, std::string(3000, 'x')));
    EXPECT_FALSE(superuser_->in_transaction());
    EXPECT_EQ(one("SELECT max(xid::text::bigint)::text FROM txstream.outbox"), "4000000110");
    EXPECT_EQ(one("SELECT epoch::text FROM txstream.lanes WHERE lane = 0"), "0");
    EXPECT_FALSE(wait(check_instance(*superuser_, soon())));
    EXPECT_EQ(rebase_it().renumbered, 1) << "the next try finds what this one found";
}

TEST_F(RebasePgTest, ALargeTableIsNotReadForAPreview) {
    come_from_elsewhere("4000000100:4000000100:");
    copy({{1, 4000000010}});
    const auto bound = survey({.first_pending = std::nullopt, .counted_bytes_max = 0});
    EXPECT_TRUE(bound.is_bound);
    EXPECT_GE(bound.pending, 1);
    EXPECT_EQ(rebase_it().pending, 0);
}

}  // namespace
}  // namespace txstream::outbox
