#pragma once

#include "console/cache.hpp"
#include "console/metrics.hpp"
#include "console/settings.hpp"
#include "kafka/producer.hpp"
#include "pg/pool.hpp"
#include "runtime/offload.hpp"
#include "runtime/task_group.hpp"

#include <chrono>
#include <functional>

namespace txstream::console {

/// For each statement that a page waits for.
constexpr std::chrono::seconds kStatementTimeout{2};
/// For each call to Kafka that a page waits for.
constexpr std::chrono::seconds kKafkaTimeout{5};

/// What the routes share. Belongs to the console's thread.
struct Context {
    asio::any_io_executor executor;
    /// Read-only sessions, whose statements end on the server after kStatementTimeout.
    pg::Pool& pool;
    /// For librdkafka's calls, which block.
    runtime::Offload& offload;
    /// librdkafka's properties for a client, with files of secrets read again. May be called from
    /// any thread.
    std::function<Result<kafka::Properties>()> kafka_properties;
    Cache& cache;
    const Settings& settings;
    const Metrics& metrics;
};

}  // namespace txstream::console
