#pragma once

#include "kafka/producer.hpp"
#include "kafka/record.hpp"
#include "runtime/deadline.hpp"

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace txstream::kafka {

/// Where a partition begins and ends.
struct PartitionBounds {
    std::int32_t partition = 0;
    std::int64_t low = 0;
    std::int64_t end = 0;  ///< last stable offset: what open transactions have written is behind it
    std::optional<Error> error{};
};

/// Offsets of a partition that are to be read: `from` up to, not including, `to`.
struct ReadRange {
    static constexpr std::int64_t kFollow = std::numeric_limits<std::int64_t>::max();

    std::int32_t partition = 0;
    std::int64_t from = 0;
    std::int64_t to = kFollow;
};

/// Every offset of the partition before `position` has been seen. Those without a record are
/// markers of transactions, records of aborted ones, or compacted away.
struct Reached {
    std::int32_t partition = 0;
    std::int64_t position = 0;
    bool is_done = false;  ///< the range is read; otherwise the partition has no more at present
};

struct ReadFailed {
    std::int32_t partition = 0;
    bool is_out_of_range =
        false;  ///< retention has passed the position, or the topic was re-created
    Error error;
};

using ReadStep = std::variant<std::monostate, FetchedRecord, Reached, ReadFailed>;

/// Reads records of one topic at a time, without a group: nothing is joined, nothing is committed,
/// and neither a topic nor `__consumer_offsets` comes into being. Reads committed records only.
///
/// Uses librdkafka's partition consumer, since assign() makes a client look for a group's
/// coordinator: a cluster may refuse that, and creates the offsets topic for it.
///
/// Blocks: one thread uses it. Holds at most kQueueBytes twice (read, and on its way) and one
/// answer of each broker, or one batch of records where that is larger.
class RecordReader {
public:
    static constexpr std::size_t kQueueBytes = 1536 * 1024;
    static constexpr std::size_t kQueueRecords = 20'000;
    static constexpr std::size_t kFetchBytes = 512 * 1024;           ///< of one broker's answer
    static constexpr std::size_t kPartitionFetchBytes = 256 * 1024;  ///< of one partition in it
    /// How long a broker may leave a request without an answer; then its connection is closed.
    static constexpr std::chrono::milliseconds kSocketTimeout{6000};

    /// Of `properties` only what connections need is used. `wait`: how long a broker that has no
    /// more records keeps a request, and with it those of other ranges.
    static Result<std::unique_ptr<RecordReader>> open(
        const Properties& properties,
        LogCallback log,
        std::chrono::milliseconds wait = std::chrono::milliseconds(10)
    );
    ~RecordReader();
    RecordReader(const RecordReader&) = delete;
    RecordReader& operator=(const RecordReader&) = delete;

    /// The topic's partitions; Code::not_found when it does not exist.
    Result<std::vector<std::int32_t>> partitions(const std::string& topic, Deadline deadline);
    /// In the order of `partitions`; a partition that has no leader gets an error.
    Result<std::vector<PartitionBounds>> bounds(
        const std::string& topic, const std::vector<std::int32_t>& partitions, Deadline deadline
    );
    /// The first offset whose timestamp is not before `timestamp_ms`, for each partition; -1 where
    /// all records are older.
    Result<std::vector<std::int64_t>> offsets_at(
        const std::string& topic,
        const std::vector<std::int32_t>& partitions,
        std::int64_t timestamp_ms,
        Deadline deadline
    );

    /// Begins to read, at most one range of each partition; ends what was being read.
    Result<> start(const std::string& topic, const std::vector<ReadRange>& ranges);
    /// The next thing that happened; nothing if that takes longer. Records of a partition come in
    /// order, and its Reached last.
    ReadStep next(std::chrono::milliseconds timeout);
    /// Ends one partition, or all.
    void stop(std::int32_t partition);
    void stop();

    /// What is wrong with the connection that failed last, until records or bounds arrive again.
    std::optional<Error> trouble();
    /// The last high watermark that a broker has reported with records; -1 when none has.
    std::int64_t high_watermark(std::int32_t partition) const;

private:
    class Impl;
    explicit RecordReader(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace txstream::kafka
