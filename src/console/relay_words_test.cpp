#include "console/relay_words.hpp"

#include "console/overview_fixture.hpp"

#include <gtest/gtest.h>

namespace txstream::console {
namespace {

constexpr const char* kTopics =
    R"([{"name":"audit","state":"careful","error":"MSG_SIZE_TOO_LARGE","events":1,"keys":1},)"
    R"({"name":"billing","state":"closed","error":"_UNKNOWN_TOPIC","events":4,"keys":2,)"
    R"("next_try":"2027-01-15T08:00:12.000000Z"},)"
    R"({"name":"held","state":"closed","error":"paused","events":9,"keys":2,"next_try":null}])";

outbox::LeaseRow lease(const std::string& owner, std::int64_t lanes, bool drains = false) {
    return {
        .owner = owner, .lanes = lanes, .lanes_wanted = 32, .stands_by = false, .drains = drains
    };
}

std::string text(const outbox::SeenMember& seen, const std::vector<outbox::LeaseRow>& leases = {}) {
    return standing_of(seen, leases, kNow).text;
}

TEST(RelayWordsTest, WhatARelayDoesIsASentence) {
    auto seen = member();
    EXPECT_EQ(standing_of(seen, {}, kNow), (Standing{"active", "active"}));
    seen.member.lanes.clear();
    EXPECT_EQ(text(seen), "stands by: other relays own all lanes");
    seen.silent = 3min;
    EXPECT_EQ(text(seen), "silent for 3 min");
    EXPECT_EQ(
        text(member(blockage("paused", R"x(,"detail":"topic refunds (it moves)","lanes":[])x"))),
        "paused: topic refunds (it moves)"
    );
    EXPECT_EQ(text(member(blockage("stalled"))), "cannot deliver: stalled");
    EXPECT_EQ(text(member(blockage("topic_missing"))), "waits for topic payments");
}

TEST(RelayWordsTest, WhatIsTriedAgainSaysWhen) {
    auto seen = member();
    seen.member.breaker = "open";
    seen.member.breaker_probe_at = kNow + 30s;
    EXPECT_EQ(
        standing_of(seen, {}, kNow),
        (Standing{"waits_for_kafka", "waits for Kafka, retry in 30 s", {}, kNow + 30s})
    );
    EXPECT_EQ(standing_of(seen, {}, kNow + 31s).text, "waits for Kafka, retry now")
        << "the relay has not reported since";
    seen = member(blockage("topic_refused", R"(,"lanes":[{"lane":7,"topic":"billing"}])"));
    seen.member.topics = kTopics;
    EXPECT_EQ(
        standing_of(seen, {}, kNow),
        (Standing{
            "waits_for_topic", "waits for topic billing, retry in 12 s", "billing", kNow + 12s
        })
    ) << "neither a careful topic nor a paused one is waited for";
}

TEST(RelayWordsTest, ADrainGoesOnUntilNoLaneIsLeft) {
    const auto seen = member(blockage("kafka_unavailable"));
    const auto& name = seen.member.name;
    EXPECT_EQ(
        text(seen, {lease(name + "/1", 3, true), lease(name + "/2", 1, true)}),
        "draining: 4 lanes left"
    );
    EXPECT_EQ(text(seen, {lease(name + "/1", 0, true)}), "drained: owns no lane and takes none");
    EXPECT_EQ(text(seen, {lease(name + "/1", 3), lease(name + "x/1", 3, true)}), "waits for Kafka")
        << "another one drains";
}

TEST(RelayWordsTest, ALaneWaitsForWhatItsOwnerSays) {
    auto owner = member(
        blockage(
            "topic_refused", R"(,"lanes":[{"lane":7,"topic":"billing"},{"lane":8,"topic":"x"}])"
        ),
        "b"
    );
    owner.member.topics = kTopics;
    const auto other = member(blockage("kafka_unavailable"));
    outbox::LaneRow lane;
    lane.lane = LaneId(7);
    lane.owner = owner.member.name + "/1";
    const auto why = [&] {
        const auto found = why_waiting(lane, {other, owner}, kNow);
        return found ? found->text : "";
    };
    EXPECT_EQ(why(), "waits for topic billing, retry in 12 s");
    lane.lane = LaneId(8);
    EXPECT_EQ(why(), "waits for topic x") << "no relay has said when it is tried";
    lane.lane = LaneId(9);
    EXPECT_EQ(why(), "waits for Kafka") << "as another says of all";
    lane.owner = other.member.name + "/1";
    EXPECT_EQ(why(), "waits for Kafka");
}

}  // namespace
}  // namespace txstream::console
