#pragma once

#include "app/config.hpp"
#include "kafka/producer.hpp"
#include "relay/ports.hpp"

#include <cstddef>
#include <memory>

namespace txstream::app {

/// librdkafka's messages as log lines of the component "kafka".
kafka::LogCallback kafka_log();

/// The properties of a configuration in the form that the room `kafka` takes.
kafka::Properties to_kafka(const Config::Properties& properties);

/// The relay's port to Kafka. `message_bytes_max` is what the topic takes, for messages to people.
Result<std::unique_ptr<relay::Publisher>> make_kafka_publisher(
    asio::any_io_executor executor,
    const kafka::Properties& properties,
    std::size_t message_bytes_max,
    relay::PublisherEvents events
);

}  // namespace txstream::app
