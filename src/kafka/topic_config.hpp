#pragma once

#include "kafka/producer.hpp"
#include "runtime/deadline.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace txstream::kafka {

/// What of a topic's configuration decides which records it accepts and keeps.
struct TopicConfig {
    /// The largest batch it accepts (max.message.bytes), as it is stored: after compression.
    std::size_t batch_bytes_max = 0;
    /// A record whose timestamp is older is refused (message.timestamp.*.max.ms) or deleted at once
    /// (retention.ms). Nothing: no such limit, or the broker sets the timestamp.
    std::optional<std::chrono::milliseconds> record_age_max;

    friend bool operator==(const TopicConfig&, const TopicConfig&) = default;
};

using ConfigEntries = std::vector<std::pair<std::string, std::string>>;
/// From the entries that a broker reports. What is missing or malformed is no limit.
TopicConfig topic_config(const ConfigEntries& entries);

/// Asks the cluster (DescribeConfigs). Blocks until the deadline at most: call it on a thread that
/// may. One result for each topic, in their order; an error for one that does not exist or that we
/// may not describe.
std::vector<Result<TopicConfig>> describe_topics(
    const Properties& properties,
    const std::vector<std::string>& topics,
    Deadline deadline,
    LogCallback log
);

}  // namespace txstream::kafka
