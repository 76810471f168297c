#pragma once

#include "app/kafka_publisher.hpp"
#include "app/metrics.hpp"
#include "config/config.hpp"
#include "pg/conn_info.hpp"
#include "pg/connection.hpp"
#include "relay/letter_copier.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace txstream::app {

/// Copies the dead letters of this process's lanes to KAFKA_TOPIC_DEAD_LETTERS, with a session and
/// a producer of its own.
///
/// Belongs to the thread of its executor.
class DeadLetterTopic {
public:
    /// `lanes`: those that this process has now.
    DeadLetterTopic(
        asio::any_io_executor executor,
        const Config& config,
        const Metrics& metrics,
        KafkaProperties properties,
        std::shared_ptr<TopicLimits> limits,
        std::function<std::vector<LaneId>()> lanes
    );

    /// Until it is cancelled.
    Task<> run() { return copier_.run(); }

private:
    Task<Result<outbox::LettersToCopy>> read(outbox::LetterLimit limit);
    Task<Result<>> write(std::vector<outbox::CopiedLetter> letters);
    Task<Result<>> open();

    asio::any_io_executor executor_;
    pg::ConnInfo conninfo_;
    std::function<std::vector<LaneId>()> lanes_;
    std::unique_ptr<pg::Connection> session_;
    relay::LetterCopier copier_;
};

}  // namespace txstream::app
