#pragma once

#include "kafka/topic_config.hpp"

#include <librdkafka/rdkafka.h>

#include <string>
#include <vector>

namespace txstream::kafka::detail {

/// See kafka::describe_topics; with a client that is there already.
std::vector<Result<TopicConfig>> describe_topics(
    rd_kafka_t* client, const std::vector<std::string>& topics, Deadline deadline
);

}  // namespace txstream::kafka::detail
