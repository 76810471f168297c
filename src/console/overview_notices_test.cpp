#include "console/overview_fixture.hpp"

#include <gtest/gtest.h>

// Of what slows delivery, or concerns this console, and stops nothing.
namespace txstream::console {
namespace {

std::string topics_of(const std::string& state, const std::string& name, int events, int keys) {
    return R"([{"name":")" + name + R"(","state":")" + state +
           R"(","error":"MSG_SIZE_TOO_LARGE","since":"2027-01-15T07:59:00.000000Z",)" +
           R"("until":"2027-01-15T08:02:00.000000Z","events":)" + std::to_string(events) +
           R"(,"keys":)" + std::to_string(keys) + "}]";
}

TEST(OverviewNoticesTest, ATopicOnTheCarefulPathIsSaidWhileAllElseIsWell) {
    auto state = healthy();
    state.members[0].member.topics = topics_of("careful", "audit", 12, 7);
    const auto causes = causes_of(state);
    EXPECT_EQ(codes(state), (Codes{"topic_careful", "healthy"}));
    EXPECT_EQ(causes[0].severity, Severity::info);
    EXPECT_EQ(
        causes[0].text,
        "Records of `audit` are sent one of a key at a time for 60 s: Kafka refused some "
        "(MSG_SIZE_TOO_LARGE). All others of the topic are delivered, more slowly; the fast path "
        "is used again in 2 min. 12 events of 7 keys take their turn."
    );
    state.members[0].silent = 1h;
    EXPECT_TRUE(slow_topics(state.members).empty()) << "of a relay that is gone";
}

TEST(OverviewNoticesTest, OfATopicThatAcceptsNothingItSaysWhatWaitsForItAndUntilWhen) {
    auto state = healthy();
    state.waiting["topic_refused"] = {.events = 4'000, .keys = 900};
    auto refused =
        blockage("topic_refused", R"(,"detail":"refunds","lanes":[{"lane":9,"topic":"refunds"}])");
    state.members = {member(refused, "a"), member(refused, "b")};
    state.members[0].member.topics = topics_of("closed", "refunds", 20, 3);
    state.members[1].member.topics = topics_of("closed", "refunds", 5, 2);
    const auto causes = causes_of(state);
    ASSERT_EQ(causes[0].code, "topic_refused");
    EXPECT_NE(
        causes[0].text.find("25 events of 5 keys wait, and are parked as dead letters in 2 min."),
        std::string::npos
    ) << causes[0].text
      << " (those that were published behind them do not wait)";
    EXPECT_EQ(causes[0].params.at("events"), "25");
    const auto topics = slow_topics(state.members);
    ASSERT_EQ(topics.size(), 1U);
    EXPECT_EQ(topics[0].relays.size(), 2U);
}

TEST(OverviewNoticesTest, ARelayThatLostItsLeaseIsSaidForAWhileWithTheReason) {
    auto state = healthy();
    auto& one = state.members[0].member;
    one.leases_lost = 1;
    one.lease_lost_at = kNow - 40s;
    for (const auto& [how, words] :
         {std::pair{"lease_expired", "could not prolong its lease in time"},
          std::pair{"taken_over", "another relay has its lanes"},
          std::pair{"session_lost", "lost its session"}}) {
        one.lease_lost_how = how;
        const auto causes = causes_of(state);
        EXPECT_EQ(codes(state), (Codes{"lease_lost", "healthy"}));
        EXPECT_NE(causes[0].text.find(words), std::string::npos) << causes[0].text;
        EXPECT_NE(causes[0].text.find("lost lanes 40 s ago"), std::string::npos);
    }
    one.lease_lost_at = kNow - 1h;
    EXPECT_EQ(codes(state), Codes{"healthy"}) << "it is no news any more";
}

TEST(OverviewNoticesTest, ATableThatIsLockedIsSaidWithWhoLocksItAndIsNoDatabaseThatIsAway) {
    auto state = healthy();
    state.database.is_locked = true;
    state.database.locks = {
        {.table = "txstream.positions",
         .pid = 4711,
         .application = "psql",
         .user = "eve",
         .since = kNow - 41s}
    };
    state.situation = {};  // never read
    const auto causes = causes_of(state);
    EXPECT_EQ(codes(state), Codes{"tables_locked"});
    EXPECT_EQ(causes[0].severity, Severity::warn);
    EXPECT_EQ(
        causes[0].text,
        "txstream.positions is locked for 41 s by PostgreSQL session 4711 (psql). What it says is "
        "shown as it was before; what is committed is safe."
    );
    ASSERT_TRUE(causes[0].remedy);
    EXPECT_NE(causes[0].remedy->text.find("'txstream.positions'::regclass"), std::string::npos);
    state.database.locks.clear();
    EXPECT_NE(causes_of(state)[0].text.find("was locked for longer"), std::string::npos);
}

}  // namespace
}  // namespace txstream::console
