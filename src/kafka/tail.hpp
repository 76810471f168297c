#pragma once

#include "kafka/producer.hpp"
#include "runtime/deadline.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace txstream::kafka {

/// A record as it was read.
struct TailedRecord {
    std::string topic;
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    std::int64_t timestamp_ms = 0;
    std::string key;
    std::string value;
    std::vector<std::pair<std::string, std::string>> headers;
};

/// Reads all topics of a broker from their beginning, also those that are made later, without a
/// group: nothing is committed and nobody is disturbed. Leaves out Kafka's own topics, whose names
/// begin with two underscores. Blocks; one thread uses it.
class Tail {
public:
    static Result<std::unique_ptr<Tail>> open(Properties properties, LogCallback log);
    ~Tail();
    Tail(const Tail&) = delete;
    Tail& operator=(const Tail&) = delete;

    /// The next record; nothing if none comes in time.
    std::optional<TailedRecord> next(std::chrono::milliseconds timeout);

private:
    class Impl;
    explicit Tail(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace txstream::kafka
