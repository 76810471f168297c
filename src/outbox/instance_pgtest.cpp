#include "outbox/instance.hpp"
#include "outbox/lane_store.hpp"
#include "tests/support/outbox_database.hpp"

namespace txstream::outbox {
namespace {

using namespace std::chrono_literals;
using tests::soon;

class InstancePgTest : public tests::OutboxTest {
protected:
    Result<> check() { return wait(check_instance(*superuser_, soon())); }
    void expect_refused(const std::string& why) {
        const auto checked = check();
        ASSERT_FALSE(checked);
        EXPECT_EQ(checked.error().code(), Code::corrupt);
        EXPECT_EQ(checked.error().origin(), kForeignInstance);
        EXPECT_NE(checked.error().what().find(why), std::string::npos) << checked.error().what();
        const auto claimed = wait(LaneStore("a").claim(*superuser_, {}, 32, 60s, soon()));
        ASSERT_FALSE(claimed);
        EXPECT_EQ(claimed.error().origin(), kForeignInstance);
        EXPECT_EQ(one("SELECT count(*)::text FROM txstream.leases"), "0");
    }
    void decide() {
        script(
            *superuser_,
            "UPDATE txstream.instance i SET system_identifier = c.system_identifier, database_oid ="
            " d.oid, refused_at = NULL, refused_why = NULL FROM pg_control_system() c, pg_database "
            "d"
            " WHERE d.datname = current_database();"
            " UPDATE txstream.lanes SET cursor = pg_current_snapshot()"
        );
    }
};

TEST_F(InstancePgTest, TheDatabaseThatMadeTheOutboxIsItsOwn) {
    EXPECT_TRUE(check());
    EXPECT_EQ(one("SELECT count(*)::text FROM txstream.instance WHERE refused_at IS NULL"), "1");
}

TEST_F(InstancePgTest, AnotherClustersOutboxIsRefusedWhateverItsCursorsSay) {
    script(
        *superuser_,
        "UPDATE txstream.instance SET system_identifier = system_identifier - 1;"
        "UPDATE txstream.lanes SET cursor = '3:3:'"
    );
    expect_refused("system identifier");
    decide();
    EXPECT_TRUE(check());
}

TEST_F(InstancePgTest, ACopyInTheSameClusterIsRefused) {
    const tests::TestDatabase other;
    superuser_.reset();
    other.on_server("DROP DATABASE " + other.name() + " WITH (FORCE)");
    other.on_server("CREATE DATABASE " + other.name() + " TEMPLATE " + database_.name());
    superuser_ = other.connect(io_);
    expect_refused("with the oid");
}

TEST_F(InstancePgTest, AnOutboxWithoutAnIdentityIsRefused) {
    script(*superuser_, "DELETE FROM txstream.instance");
    expect_refused("is empty");
}

TEST_F(InstancePgTest, ACursorFromTheFutureIsRefusedUntilAnOperatorDecidesAndNotUntilIdsCatchUp) {
    script(
        *superuser_,
        "UPDATE txstream.lanes SET cursor = format('%1$s:%1$s:',"
        " pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 20)::pg_snapshot WHERE lane = 5"
    );
    expect_refused("of the lanes 5 ");
    for (int i = 0; i < 40; ++i) script(*superuser_, "SELECT pg_current_xact_id()");
    ASSERT_EQ(
        one("SELECT (pg_snapshot_xmax(cursor) <= pg_snapshot_xmax(pg_current_snapshot()))::text"
            " FROM txstream.lanes WHERE lane = 5"),
        "true"
    );
    superuser_ = connect();
    expect_refused("of the lanes 5 ");
    decide();
    EXPECT_TRUE(check());
}

TEST_F(InstancePgTest, ATargetFromTheFutureIsRefusedToo) {
    script(
        *superuser_, "UPDATE txstream.lanes SET target = '3000000000:3000000000:' WHERE lane = 7"
    );
    expect_refused("of the lanes 7 ");
}

TEST_F(InstancePgTest, TheRelaysRightsSuffice) {
    script(*superuser_, "UPDATE txstream.instance SET system_identifier = 1");
    const auto relay = connect("SET SESSION AUTHORIZATION txstream_relay");
    EXPECT_EQ(wait(check_instance(*relay, soon())).error().origin(), kForeignInstance);
    EXPECT_EQ(one("SELECT (refused_why <> '')::text FROM txstream.instance"), "true");
}

TEST_F(InstancePgTest, ARelayThatLookedWhileAnOperatorDecidedDoesNotRefuseWhatWasDecided) {
    script(*superuser_, "UPDATE txstream.instance SET system_identifier = 1");
    const auto operator_session = connect();
    const auto observer = connect();
    script(*operator_session, "BEGIN; LOCK TABLE txstream.instance IN EXCLUSIVE MODE");
    bool has_ended = false;
    tests::start(
        io_,
        check_instance(*superuser_, soon()),
        [&](std::exception_ptr, Result<> checked) {
            EXPECT_FALSE(checked);
            has_ended = true;
        }
    );
    const auto deadline = soon();
    const std::string waits =
        "SELECT count(*)::text FROM pg_locks WHERE NOT granted AND relation ="
        " 'txstream.instance'::regclass";
    while (rows(*observer, waits).at(0) != "1") ASSERT_FALSE(deadline.passed());
    script(
        *operator_session,
        "UPDATE txstream.instance SET system_identifier = (SELECT system_identifier FROM"
        " pg_control_system()); COMMIT"
    );
    while (!has_ended) {
        ASSERT_FALSE(deadline.passed());
        (void)rows(*observer, "SELECT 1::text");
    }
    EXPECT_EQ(one("SELECT count(*)::text FROM txstream.instance WHERE refused_at IS NULL"), "1");
    EXPECT_TRUE(check());
}

}  // namespace
}  // namespace txstream::outbox
