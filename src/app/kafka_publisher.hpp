#pragma once

#include "app/config.hpp"
#include "kafka/producer.hpp"
#include "relay/ports.hpp"

#include <cstddef>
#include <memory>
#include <string>

namespace txstream::app {

/// librdkafka's messages as log lines of the component "kafka".
kafka::LogCallback kafka_log();

/// The properties of a configuration in the form that the room `kafka` takes.
kafka::Properties to_kafka(const Config::Properties& properties);

/// Bytes of key and value. What a topic is known to refuse is refused here, where it names its
/// event.
struct RecordLimits {
    std::size_t bytes_max;        ///< KAFKA_MESSAGE_BYTES_MAX, for every topic
    std::string topic;            ///< the one whose max.message.bytes was looked up
    std::size_t topic_bytes_max;  ///< the lower of its limit and bytes_max
};

/// The relay's port to Kafka.
Result<std::unique_ptr<relay::Publisher>> make_kafka_publisher(
    const asio::any_io_executor& executor,
    const kafka::Properties& properties,
    RecordLimits limits,
    relay::PublisherEvents events
);

}  // namespace txstream::app
