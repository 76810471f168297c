#pragma once

#include "kafka/producer.hpp"
#include "kafka/topic_config.hpp"
#include "runtime/deadline.hpp"

#include <optional>
#include <string>

namespace txstream::kafka {

struct TopicFacts {
    int partitions = 0;
    bool created = false;
    std::optional<TopicConfig> config;  ///< nothing when the broker would not tell
};

/// Looks the topic up, and creates it where it is missing. Blocks until the deadline at most: call
/// it on a thread that may. A broker that refuses (authorisation, policy, no admin interface) gives
/// an error that says how to create it by hand.
Result<TopicFacts> ensure_topic(
    const Properties& properties,
    const std::string& topic,
    int partitions,
    int replication_factor,
    Deadline deadline,
    LogCallback log
);

}  // namespace txstream::kafka
