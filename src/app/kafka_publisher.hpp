#pragma once

#include "app/topic_limits.hpp"
#include "config/config.hpp"
#include "kafka/producer.hpp"
#include "relay/ports.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace txstream::app {

/// librdkafka's messages as log lines of the component "kafka".
kafka::LogCallback kafka_log();

/// librdkafka's properties as they are now: files of secrets are read at each call.
using KafkaProperties = std::function<Result<kafka::Properties>()>;

/// What was last wrong with the connections to Kafka; nothing since a record was acknowledged. Any
/// thread.
class KafkaTrouble {
public:
    struct Last {
        std::string kind;    ///< see kafka::Trouble
        std::string advice;  ///< names no host
        std::chrono::system_clock::time_point at;
    };

    /// Whether it is of another kind than the last.
    bool happened(const Error& error);
    void is_over();
    std::optional<Last> last() const;

private:
    mutable std::mutex mutex_;
    std::optional<Last> last_;          // guarded by mutex_
    std::atomic<bool> has_any_{false};  // so that a report costs no lock
};

/// The relay's port to Kafka. A record that its topic is known to refuse is refused here, where the
/// refusal names its event; batches are as large as every topic seen so far accepts.
Result<std::unique_ptr<relay::Publisher>> make_kafka_publisher(
    const asio::any_io_executor& executor,
    relay::Path path,
    const KafkaProperties& properties,
    std::shared_ptr<TopicLimits> limits,
    relay::PublisherEvents events,
    std::shared_ptr<KafkaTrouble> trouble
);

}  // namespace txstream::app
