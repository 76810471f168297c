#include "outbox/members.hpp"
#include "tests/support/outbox_database.hpp"

namespace txstream::outbox {
namespace {

using namespace std::chrono_literals;
using tests::must;
using tests::soon;

class MembersPgTest : public tests::OutboxTest {
protected:
    static Member member(std::string name) {
        Member one;
        one.name = std::move(name);
        one.host = "h\"ost";
        one.pid = 4711;
        one.version = "1.2.3";
        one.revision = "abc";
        one.started_at = Member::Time(1'700'000'000'123'456us);
        one.lanes = {LaneId(0), LaneId(31)};
        one.workers = 3;
        one.workers_alive = 2;
        one.breaker = "open";
        one.breaker_failures = 4;
        one.breaker_failures_max = 5;
        one.breaker_since = Member::Time(1'700'000'001'000'001us);
        one.breaker_probe_at = Member::Time(1'700'000'031'000'000us);
        one.blockages = R"([{"code":"kafka_unavailable","detail":"\u00e9 \"x\""}])";
        one.topics = R"([{"name":"t","state":"closed"}])";
        one.leases_lost = 2;
        one.lease_lost_at = Member::Time(1'700'000'002'000'001us);
        one.lease_lost_how = "taken_over";
        one.settings = R"({"KAFKA_TOPIC_EVENTS":"t"})";
        one.config_digest = "d1";
        one.published = 1'000'000'000'000;
        one.failed = 1;
        one.parked = 2;
        one.published_milli_per_s = 1500;
        one.in_flight = 7;
        one.pending_by_lane = {{0, 5}};
        return one;
    }
    void write(const Member& one) { must(wait(write_member(*relay_, one, soon()))); }
    std::vector<SeenMember> read() { return must(wait(read_members(*reader_, 100, soon()))); }
    void see(const std::string& name, const std::string& ago) {
        script(
            *superuser_,
            "UPDATE txstream.members SET seen_at = now() - interval '" + ago + "' WHERE name = '" +
                name + "'"
        );
    }

    std::unique_ptr<pg::Connection> relay_ =
        connect(std::string(kReaderSettings) + "SET ROLE txstream_relay");
    std::unique_ptr<pg::Connection> reader_ = connect("SET ROLE txstream_reader");
};

TEST_F(MembersPgTest, AMemberIsReadAsItWasWritten) {
    auto one = member("a:1:ff");
    write(one);
    ASSERT_EQ(read().size(), 1U);
    EXPECT_EQ(read()[0].member, one);
    EXPECT_TRUE(read()[0].is_alive());
    one.lanes.clear();
    one.breaker = "closed";
    one.breaker_probe_at.reset();
    one.pending_by_lane.reset();
    one.blockages = "[]";
    write(one);
    ASSERT_EQ(read().size(), 1U) << "its row is renewed";
    EXPECT_EQ(read()[0].member, one);
    must(wait(remove_member(*relay_, one.name, soon())));
    EXPECT_TRUE(read().empty());
}

TEST_F(MembersPgTest, OneThatIsSilentIsDeadByTheServersClock) {
    write(member("quick"));
    write(member("dead"));
    see("dead", "21 seconds");
    const auto members = read();
    ASSERT_EQ(members.size(), 2U);
    EXPECT_EQ(members[0].member.name, "quick");
    EXPECT_TRUE(members[0].is_alive());
    EXPECT_FALSE(members[1].is_alive());
    EXPECT_GE(members[1].silent, 21s);
}

TEST_F(MembersPgTest, TheDeadAreRemovedAfterADayOrWhenTheyAreTooMany) {
    write(member("alive"));
    write(member("yesterday"));
    write(member("today"));
    see("yesterday", "25 hours");
    see("today", "23 hours");
    must(wait(remove_dead_members(*relay_, soon())));
    EXPECT_EQ(
        rows("SELECT name FROM txstream.members ORDER BY name"),
        (std::vector<std::string>{"alive", "today"})
    );
    script(
        *superuser_,
        "INSERT INTO txstream.members"
        " SELECT (jsonb_populate_record(m, jsonb_build_object('name', 'crash' || n, 'seen_at',"
        " now() - interval '1 minute'))).*"
        " FROM txstream.members m, generate_series(1, 300) n WHERE name = 'alive'"
    );
    must(wait(remove_dead_members(*relay_, soon())));
    EXPECT_EQ(one("SELECT count(*)::text FROM txstream.members"), "201");
    EXPECT_EQ(one("SELECT count(*)::text FROM txstream.members WHERE name = 'alive'"), "1");
    EXPECT_EQ(read().size(), 100U) << "as many as were asked for";
}

// By the server's own count. Not by the table's size: whatever has a snapshot at that moment (the
// server's own ANALYZE of a catalogue) keeps old versions, and a page that is full of them makes an
// entry for the next one.
TEST_F(MembersPgTest, RenewingARowMakesNoIndexEntries) {
    constexpr int kRenewals = 200;
    auto session = connect("SET ROLE txstream_relay");
    for (int i = 0; i <= kRenewals; ++i) {
        auto one = member("a");
        one.published = i;
        must(wait(write_member(*session, one, soon())));
    }
    session.reset();  // it reports what it did when it ends
    const auto counted = [&](const char* what) {
        return std::stoi(
            one(std::string("SELECT pg_stat_get_tuples_") + what +
                "('txstream.members'::regclass)::text")
        );
    };
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (counted("updated") < kRenewals && std::chrono::steady_clock::now() < end) {
    }
    ASSERT_EQ(counted("updated"), kRenewals);
    EXPECT_GE(counted("hot_updated"), kRenewals * 9 / 10);
}

TEST_F(MembersPgTest, TheLivingAndTheSilentAreCounted) {
    for (const char* name : {"a", "b", "c"}) write(member(name));
    see("b", "25 seconds");
    const auto count = must(wait(count_members(*relay_, soon())));
    EXPECT_EQ(count.alive, 2U);
    EXPECT_EQ(count.silent, 1U);
}

}  // namespace
}  // namespace txstream::outbox
