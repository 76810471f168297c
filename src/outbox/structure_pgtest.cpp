#include "outbox/structure.hpp"
#include "tests/support/outbox_database.hpp"

namespace txstream::outbox {
namespace {

using tests::soon;

// Aim: whatever would let events be passed over is refused with its name. Method: each change in a
// transaction of its own, undone by a rollback.
class StructurePgTest : public tests::OutboxTest {
protected:
    /// What is found after `change`, by the relay's role.
    std::string faults_after(const std::string& change) {
        script(*superuser_, "BEGIN; " + change + "; SET LOCAL ROLE txstream_relay");
        const auto checked = wait(check_structure(*superuser_, soon()));
        script(*superuser_, "ROLLBACK");
        if (checked) return "";
        EXPECT_EQ(checked.error().origin(), "outbox_structure") << checked.error().what();
        EXPECT_EQ(checked.error().code(), Code::corrupt);
        return checked.error().what();
    }
    void expect_fault(const std::string& change, std::string_view words) {
        EXPECT_NE(faults_after(change).find(words), std::string::npos)
            << change << ": " << faults_after(change);
    }
};

TEST_F(StructurePgTest, AnOutboxAsItsMigrationMadeItIsAccepted) {
    EXPECT_EQ(faults_after("SELECT 1"), "");
}

TEST_F(StructurePgTest, WhatAnOperatorMayAddIsAccepted) {
    for (const char* change :
         {"CREATE INDEX ON txstream.outbox (event_type)",
          "CREATE TABLE txstream.notes (id bigint, xid text)",
          "CREATE FUNCTION public.told() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; "
          "END $$; CREATE TRIGGER told AFTER INSERT ON txstream.outbox FOR EACH ROW EXECUTE "
          "FUNCTION public.told()",
          "ALTER TABLE txstream.lanes SET (autovacuum_vacuum_cost_delay = 0)",
          // As maintenance does: the tail is split.
          "DROP TABLE txstream.outbox_tail; CREATE TABLE txstream.outbox_p1 PARTITION OF "
          "txstream.outbox FOR VALUES FROM ('5000000') TO ('9000000'); CREATE TABLE "
          "txstream.outbox_tail PARTITION OF txstream.outbox FOR VALUES FROM ('9000000') TO "
          "(MAXVALUE); ALTER TABLE txstream.outbox DETACH PARTITION txstream.outbox_p0; DROP TABLE "
          "txstream.outbox_p0; CREATE TABLE txstream.outbox_p0 PARTITION OF txstream.outbox FOR "
          "VALUES FROM (MINVALUE) TO ('5000000')"})
        EXPECT_EQ(faults_after(change), "") << change;
}

TEST_F(StructurePgTest, AnotherObjectInATablesPlaceIsNamed) {
    const std::string away = "ALTER TABLE txstream.outbox RENAME TO hidden;";
    expect_fault("DROP TABLE txstream.outbox CASCADE", "txstream.outbox is missing");
    expect_fault(
        away +
            "CREATE VIEW txstream.outbox AS SELECT * FROM txstream.hidden WHERE id % 2 = 0;"
            "GRANT SELECT ON txstream.outbox TO txstream_relay",
        "txstream.outbox is not the table it was made as but a view"
    );
    expect_fault(
        away + "CREATE TABLE txstream.outbox (LIKE txstream.hidden)", "a table without partitions"
    );
    expect_fault(
        away +
            "CREATE TABLE txstream.outbox (LIKE txstream.hidden ) PARTITION BY "
            "LIST (event_type)",
        "not partitioned by range of xid"
    );
    expect_fault(
        "ALTER TABLE txstream.dead_letters RENAME TO letters; CREATE VIEW txstream.dead_letters AS "
        "SELECT * FROM txstream.letters",
        "txstream.dead_letters is not the table"
    );
}

TEST_F(StructurePgTest, WhatHidesOrDivertsRowsIsNamed) {
    const std::string function =
        "CREATE FUNCTION public.eat() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; "
        "END $$; CREATE TRIGGER eat BEFORE INSERT OR UPDATE ON ";
    const std::string each = " FOR EACH ROW EXECUTE FUNCTION public.eat()";
    for (const char* table :
         {"outbox", "outbox_tail", "dead_letters", "leases", "lanes", "positions"}) {
        const auto name = "txstream." + std::string(table);
        expect_fault("ALTER TABLE " + name + " ENABLE ROW LEVEL SECURITY", name + " has row-level");
        expect_fault(function + name + each, name + " has the trigger eat");
        expect_fault(
            "CREATE RULE eat AS ON INSERT TO " + name + " DO INSTEAD NOTHING",
            name + " has the rule"
        );
    }
    expect_fault("ALTER TABLE txstream.outbox_p0 SET UNLOGGED", "txstream.outbox_p0 is not logged");
    expect_fault("ALTER TABLE txstream.outbox ALTER xid SET DEFAULT '5'", "the default of xid in");
}

TEST_F(StructurePgTest, APartitionThatIsGoneIsNamed) {
    expect_fault(
        "ALTER TABLE txstream.outbox DETACH PARTITION txstream.outbox_p0",
        "txstream.outbox_p0 has the columns of an event and is no partition"
    );
    expect_fault(
        "ALTER TABLE txstream.outbox DETACH PARTITION txstream.outbox_tail; ALTER TABLE "
        "txstream.outbox_tail SET SCHEMA public",
        "no partition of txstream.outbox takes transactions from"
    );
    // A partition in the middle that somebody took away with its rows.
    expect_fault(
        "DROP TABLE txstream.outbox_tail; CREATE TABLE txstream.outbox_tail PARTITION OF "
        "txstream.outbox FOR VALUES FROM ('9000000000') TO (MAXVALUE)",
        "between txstream.outbox_p0 and txstream.outbox_tail a partition"
    );
}

TEST_F(StructurePgTest, LanesThatAreMissingOrTooManyAreNamed) {
    expect_fault("DELETE FROM txstream.lanes WHERE lane IN (3, 5)", "lacks the lanes 3, 5");
    expect_fault("INSERT INTO txstream.lanes (lane) VALUES (32)", "that no key leads to: 32");
}

}  // namespace
}  // namespace txstream::outbox
