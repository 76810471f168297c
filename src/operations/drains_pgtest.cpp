#include "operations/drains.hpp"
#include "outbox/audit.hpp"
#include "outbox/lane_store.hpp"
#include "tests/support/outbox_database.hpp"

namespace txstream::operations {
namespace {

using namespace std::chrono_literals;
using tests::must;
using tests::soon;

/// Two relays, the first with two workers. Under the rights of operators.
class DrainsPgTest : public tests::OutboxTest {
protected:
    DrainsPgTest() {
        give_lanes("a:1/1", "lane < 8");
        give_lanes("a:1/2", "lane BETWEEN 8 AND 15");
        give_lanes("b:2/1", "lane >= 16");
        script(*superuser_, "UPDATE txstream.leases SET lanes_wanted = 32");
    }

    Result<DrainChanged> change(DrainChange change, const std::string& reason = "a new kernel") {
        return wait(change_drain(
            *operator_, std::move(change), {"me@here", "cli", reason, std::nullopt}, soon()
        ));
    }
    std::vector<std::string> draining() {
        return rows("SELECT owner FROM txstream.leases WHERE drains ORDER BY owner");
    }

    std::unique_ptr<pg::Connection> operator_ = connect("SET ROLE txstream_operator");
};

using Texts = std::vector<std::string>;

TEST_F(DrainsPgTest, AllWorkersOfARelayDrainAndNoOthers) {
    const auto changed = must(change({.relay = "a:1"}));
    EXPECT_TRUE(changed.is_changed);
    EXPECT_EQ(changed.state.workers, 2);
    EXPECT_EQ(changed.state.lanes, 16);
    EXPECT_EQ(changed.state.others, 1);
    EXPECT_EQ(draining(), (Texts{"a:1/1", "a:1/2"}));
    EXPECT_FALSE(must(change({.relay = "a:1"})).is_changed) << "nothing is written twice";
    must(change({.relay = "a:1", .drains = false}, "the kernel is new"));
    EXPECT_EQ(draining(), Texts());
    const auto entries = must(wait(outbox::audit_entries(*operator_, {}, {}, 10, soon())));
    ASSERT_EQ(entries.size(), 2U);
    EXPECT_EQ(entries[1].action, "relays drain");
    EXPECT_EQ(entries[1].target, R"({"relay":"a:1"})");
    EXPECT_EQ(entries[1].reason, "a new kernel");
    EXPECT_EQ(entries[1].affected, 2);
    EXPECT_EQ(entries[1].result, "16 lanes to hand over");
    EXPECT_EQ(entries[0].action, "relays drain --cancel");
    EXPECT_EQ(entries[0].reason, "the kernel is new");
}

TEST_F(DrainsPgTest, TheLastRelayIsDrainedOnlyWhenThatIsMeant) {
    must(change({.relay = "a:1"}));
    const auto last = change({.relay = "b:2"});
    ASSERT_FALSE(last);
    EXPECT_EQ(last.error().code(), Code::conflict);
    EXPECT_EQ(last.error().origin(), kDrainOrigin);
    EXPECT_NE(last.error().what().find("--force"), std::string::npos);
    EXPECT_EQ(draining(), (Texts{"a:1/1", "a:1/2"}));
    EXPECT_TRUE(must(change({.relay = "b:2", .is_forced = true})).is_changed);
    EXPECT_EQ(draining().size(), 3U);
    // One that ends takes none; nor does one whose lease is over.
    must(change({.relay = "b:2", .drains = false}));
    must(change({.relay = "a:1", .drains = false}));
    script(*superuser_, "UPDATE txstream.leases SET lanes_wanted = 0 WHERE owner LIKE 'a:1/%'");
    EXPECT_FALSE(change({.relay = "b:2"}));
    script(*superuser_, "UPDATE txstream.leases SET lanes_wanted = 32");
    end_lease("a:1/1");
    end_lease("a:1/2");
    EXPECT_FALSE(change({.relay = "b:2"}));
}

TEST_F(DrainsPgTest, AnUnknownRelayIsNamedWithThoseThatRun) {
    for (const auto* name : {"a", "a:1/1", "a:", "nobody", ""}) {
        const auto changed = change({.relay = name});
        ASSERT_FALSE(changed) << name;
        EXPECT_EQ(changed.error().code(), Code::not_found);
        EXPECT_NE(changed.error().what().find(R"("a:1", "b:2")"), std::string::npos)
            << changed.error().what();
    }
    EXPECT_EQ(change({.relay = "a:1"}, std::string(2001, 'x')).error().code(), Code::invalid_input);
    EXPECT_EQ(draining(), Texts());
}

TEST_F(DrainsPgTest, OnlyOperatorsDrain) {
    for (const auto* role : {"txstream_reader", "txstream_writer"}) {
        const auto session = connect("SET ROLE " + std::string(role));
        const auto done = wait(
            change_drain(*session, {.relay = "a:1"}, {"me@here", "cli", "", std::nullopt}, soon())
        );
        ASSERT_FALSE(done) << role;
        EXPECT_EQ(done.error().origin(), "42501") << role;
    }
}

TEST_F(DrainsPgTest, AWaitEndsWhenTheRelayOwnsNoLaneAndNotBefore) {
    must(change({.relay = "a:1"}));
    std::vector<std::int64_t> left;
    const auto waited = must(wait(wait_drained(
        *operator_,
        "a:1",
        [&](const DrainState& now) {
            left.push_back(now.lanes);
            // As its workers hand them over.
            database_.script(
                std::string("UPDATE txstream.lanes SET lease = (SELECT number FROM txstream.leases "
                            "WHERE owner = 'b:2/1') WHERE ") +
                (left.size() == 1 ? "lane < 8" : "true")
            );
        },
        soon()
    )));
    EXPECT_TRUE(waited.is_drained());
    EXPECT_EQ(left, (std::vector<std::int64_t>{16, 8, 0}));
}

TEST_F(DrainsPgTest, ADrainThatIsCancelledIsWaitedForNoLonger) {
    must(change({.relay = "a:1"}));
    const auto waited = wait(wait_drained(
        *operator_,
        "a:1",
        [&](const DrainState&) { database_.script("UPDATE txstream.leases SET drains = false"); },
        soon()
    ));
    ASSERT_FALSE(waited);
    EXPECT_EQ(waited.error().origin(), kDrainOrigin);
}

TEST_F(DrainsPgTest, WhenTheTimeIsUpWhatIsLeftIsKnown) {
    must(change({.relay = "a:1"}));
    const auto late = must(wait(wait_drained(*operator_, "a:1", {}, Deadline::in(2s))));
    EXPECT_FALSE(late.is_drained());
    EXPECT_EQ(late.lanes, 16);
}

TEST_F(DrainsPgTest, ALaneSaysSinceWhenItsOwnerHasIt) {
    end_lease("a:1/1");
    end_lease("a:1/2");
    outbox::LaneStore store("c:3/1");
    const auto begun = one("SELECT clock_timestamp()::text");
    store.want({.lanes = 16, .stands_by = false});
    const auto relay = connect("SET ROLE txstream_relay");
    const auto claimed = must(wait(store.claim(*relay, {}, 4, 10s, soon())));
    ASSERT_EQ(claimed.size(), 4U);
    EXPECT_EQ(
        one("SELECT count(*)::text FROM txstream.lane_positions WHERE owner = 'c:3/1' AND taken_at "
            "BETWEEN '" +
            begun + "' AND clock_timestamp()"),
        "4"
    );
}

}  // namespace
}  // namespace txstream::operations
