#pragma once

#include "console/scan.hpp"

#include <string>
#include <utility>

namespace txstream::console {

/// A topic of Kafka as a source of records. Blocks; the calls that measure end at the deadline.
class KafkaSource final : public RecordSource {
public:
    KafkaSource(kafka::RecordReader& reader, std::string topic, Deadline deadline)
        : reader_(reader), topic_(std::move(topic)), deadline_(deadline) {}

    Result<std::vector<std::int32_t>> partitions() { return reader_.partitions(topic_, deadline_); }
    Result<std::vector<kafka::PartitionBounds>> bounds(const std::vector<std::int32_t>& partitions
    ) override {
        return reader_.bounds(topic_, partitions, deadline_);
    }
    Result<std::vector<std::int64_t>> offsets_at(
        const std::vector<std::int32_t>& partitions, std::int64_t timestamp_ms
    ) override {
        return reader_.offsets_at(topic_, partitions, timestamp_ms, deadline_);
    }
    Result<> start(const std::vector<kafka::ReadRange>& ranges) override {
        return reader_.start(topic_, ranges);
    }
    kafka::ReadStep next() override { return reader_.next(std::chrono::milliseconds(50)); }
    void stop() override { reader_.stop(); }

private:
    kafka::RecordReader& reader_;
    std::string topic_;
    Deadline deadline_;
};

}  // namespace txstream::console
