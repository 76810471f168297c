#include "kafka/topic_config.hpp"

#include <gtest/gtest.h>

namespace txstream::kafka {
namespace {

using namespace std::chrono_literals;

// As Kafka 4 reports a topic that was made without any setting.
const ConfigEntries kDefaults{
    {"cleanup.policy", "delete"},
    {"max.message.bytes", "1048588"},
    {"message.timestamp.after.max.ms", "3600000"},
    {"message.timestamp.before.max.ms", "9223372036854775807"},
    {"message.timestamp.type", "CreateTime"},
    {"retention.ms", "604800000"},
};

TopicConfig changed(const ConfigEntries& changes) {
    auto entries = kDefaults;
    entries.insert(entries.end(), changes.begin(), changes.end());
    return topic_config(entries);
}

TEST(TopicConfigTest, TheDefaultsKeepAWeek) {
    EXPECT_EQ(changed({}).batch_bytes_max, 1'048'588U);
    EXPECT_EQ(changed({}).record_age_max, 7 * 24h);
}

TEST(TopicConfigTest, ARecordMayBeAsOldAsTheStricterOfRetentionAndBounds) {
    EXPECT_EQ(changed({{"retention.ms", "60000"}}).record_age_max, 60s);
    EXPECT_EQ(changed({{"message.timestamp.before.max.ms", "5000"}}).record_age_max, 5s);
    EXPECT_EQ(changed({{"message.timestamp.difference.max.ms", "0"}}).record_age_max, 0s);
    EXPECT_EQ(changed({{"retention.ms", "-1"}}).record_age_max, std::nullopt);
}

TEST(TopicConfigTest, WithoutDeletionOnlyTheBoundsCountAndWithAppendTimeNothing) {
    EXPECT_EQ(
        changed({{"cleanup.policy", "compact"}, {"retention.ms", "1"}}).record_age_max, std::nullopt
    );
    EXPECT_EQ(
        changed({{"cleanup.policy", "compact,delete"}, {"retention.ms", "1000"}}).record_age_max, 1s
    );
    EXPECT_EQ(
        changed({{"message.timestamp.type", "LogAppendTime"}, {"retention.ms", "1"}})
            .record_age_max,
        std::nullopt
    );
}

TEST(TopicConfigTest, WhatIsMissingOrMalformedIsNoLimit) {
    EXPECT_EQ(topic_config({}), TopicConfig());
    EXPECT_EQ(
        topic_config({{"max.message.bytes", "many"}, {"retention.ms", ""}, {"x", "y"}}),
        TopicConfig()
    );
    EXPECT_EQ(topic_config({{"max.message.bytes", "-1"}}).batch_bytes_max, 0U);
}

}  // namespace
}  // namespace txstream::kafka
