#include "console/kafka_warnings.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace txstream::console {
namespace {

/// A topic without fault: three replicas, all in sync; tests change one thing.
struct Fixture {
    kafka::TopicState state;
    std::vector<kafka::ConfigItem> config;
    TopicToCheck topic;

    Fixture() {
        state.name = "events";
        for (int i = 0; i < 3; ++i)
            state.partitions.push_back(
                {.id = i, .leader = i + 1, .replicas = {1, 2, 3}, .in_sync = {1, 2, 3}}
            );
        set("min.insync.replicas", "2");
        set("max.message.bytes", "1048588");
        set("cleanup.policy", "delete");
        set("unclean.leader.election.enable", "false");
        topic.name = "events";
        topic.is_ours = true;
        topic.record_bytes_max = 1'000'000;
        topic.brokers = 3;
        topic.bootstrap = "kafka:9092";
    }
    void set(const std::string& name, const std::string& value) {
        std::erase_if(config, [&](const auto& item) { return item.name == name; });
        config.push_back({.name = name, .value = value});
    }
    std::vector<Warning> warnings() {
        topic.state = &state;
        topic.config = &config;
        return topic_warnings(topic);
    }
    std::vector<std::string> codes() {
        std::vector<std::string> found;
        for (const auto& warning : warnings()) found.push_back(warning.code);
        return found;
    }
};

using Codes = std::vector<std::string>;

TEST(TopicWarningsTest, ASoundTopicHasNone) {
    EXPECT_EQ(Fixture().codes(), Codes{});
}

TEST(TopicWarningsTest, AMissingTopicSaysHowToCreateItAsTheClusterAllows) {
    Fixture fixture;
    fixture.topic.brokers = 2;
    const auto warnings = topic_warnings(fixture.topic);
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_EQ(warnings[0].code, "topic_missing");
    EXPECT_EQ(
        warnings[0].command,
        "kafka-topics.sh --bootstrap-server kafka:9092 --create --topic events --partitions 12 "
        "--replication-factor 2"
    );
}

TEST(TopicWarningsTest, PartitionsAreNamedByTheWorstThatIsWrongWithThem) {
    Fixture fixture;
    fixture.state.partitions[0].leader = -1;
    fixture.state.partitions[1].in_sync = {1};
    fixture.state.partitions[2].in_sync = {1, 3};
    EXPECT_EQ(fixture.codes(), (Codes{"leaderless", "below_min_insync", "under_replicated"}));
    const auto warnings = fixture.warnings();
    EXPECT_NE(warnings[1].text.find("partition 1"), std::string::npos) << warnings[1].text;
    EXPECT_EQ(warnings[0].severity, Severity::bad);
    EXPECT_EQ(warnings[2].severity, Severity::warn);
}

TEST(TopicWarningsTest, ALongListOfPartitionsIsCut) {
    Fixture fixture;
    fixture.state.partitions.clear();
    for (int i = 0; i < 40; ++i)
        fixture.state.partitions.push_back(
            {.id = i, .leader = 1, .replicas = {1, 2, 3}, .in_sync = {1, 2}}
        );
    const auto warnings = fixture.warnings();
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_NE(warnings[0].text.find("8, 9 and 30 more"), std::string::npos) << warnings[0].text;
}

TEST(TopicWarningsTest, OneReplicaIsAWarningWhereThereAreBrokersForMore) {
    Fixture fixture;
    for (auto& partition : fixture.state.partitions) {
        partition.replicas = {1};
        partition.in_sync = {1};
    }
    fixture.set("min.insync.replicas", "1");
    EXPECT_EQ(fixture.codes(), Codes{"single_replica"});
    EXPECT_EQ(fixture.warnings()[0].severity, Severity::warn);
    fixture.topic.brokers = 1;
    EXPECT_EQ(fixture.warnings()[0].severity, Severity::info);
}

TEST(TopicWarningsTest, AsManyInSyncReplicasAsThereAreStopsWritesWithOneBroker) {
    Fixture fixture;
    fixture.set("min.insync.replicas", "3");
    EXPECT_EQ(fixture.codes(), Codes{"min_insync_equals_replicas"});
    EXPECT_NE(
        fixture.warnings()[0].command.find("--add-config min.insync.replicas=2"), std::string::npos
    );
    fixture.set("min.insync.replicas", "4");
    EXPECT_EQ(fixture.codes(), Codes{"min_insync_above_replicas"});
    EXPECT_EQ(fixture.warnings()[0].severity, Severity::bad);
}

TEST(TopicWarningsTest, SettingsThatLoseEventsAreNamedWithTheCommandThatChangesThem) {
    Fixture fixture;
    fixture.set("max.message.bytes", "100000");
    fixture.set("cleanup.policy", "compact,delete");
    fixture.set("unclean.leader.election.enable", "true");
    EXPECT_EQ(
        fixture.codes(), (Codes{"max_message_bytes", "compacted", "unclean_leader_election"})
    );
    for (const auto& warning : fixture.warnings())
        EXPECT_NE(warning.command.find("--entity-name events --add-config"), std::string::npos);
}

TEST(TopicWarningsTest, OtherTopicsMayBeCompactedAndSmall) {
    Fixture fixture;
    fixture.topic.is_ours = false;
    fixture.set("max.message.bytes", "100");
    fixture.set("cleanup.policy", "compact");
    EXPECT_EQ(fixture.codes(), Codes{});
}

TEST(TopicWarningsTest, WithoutItsConfigurationWhatTheMetadataShowsIsStillSaid) {
    Fixture fixture;
    fixture.state.partitions[0].in_sync = {1};
    fixture.topic.state = &fixture.state;
    fixture.topic.config = nullptr;
    const auto warnings = topic_warnings(fixture.topic);
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_EQ(warnings[0].code, "under_replicated");
}

TEST(BrokerWarningsTest, AnAdvertisedAddressThatDoesNotAnswerIsNamedWithTheSetting) {
    const std::vector<kafka::BrokerState> brokers{
        {.id = 1, .host = "a", .port = 9092}, {.id = 2, .host = "localhost", .port = 9093}
    };
    const auto warnings =
        broker_warnings(brokers, {std::nullopt, Error(Code::unavailable, "connection refused")});
    ASSERT_EQ(warnings.size(), 1U);
    EXPECT_EQ(
        warnings[0].text,
        "Broker 2 advertises localhost:9093, which does not answer from here: connection refused"
    );
    EXPECT_NE(warnings[0].advice.find("advertised.listeners"), std::string::npos);
}

}  // namespace
}  // namespace txstream::console
