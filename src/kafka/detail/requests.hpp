#pragma once

#include "kafka/detail/handles.hpp"
#include "runtime/deadline.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

namespace txstream::kafka::detail {

using Options = std::unique_ptr<rd_kafka_AdminOptions_t, Destroy<rd_kafka_AdminOptions_destroy>>;
using Metadata = std::unique_ptr<const rd_kafka_metadata_t, Destroy<rd_kafka_metadata_destroy>>;
using Partitions = std::
    unique_ptr<rd_kafka_topic_partition_list_t, Destroy<rd_kafka_topic_partition_list_destroy>>;

inline int milliseconds_left(Deadline deadline) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline.left()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 1, 60'000));
}

Options options_for(rd_kafka_t* client, rd_kafka_admin_op_t operation, Deadline deadline);

/// Many admin requests on one queue, `in_flight_max` of them under way.
class Pipeline {
public:
    using Start = std::function<
        void(std::size_t item, const rd_kafka_AdminOptions_t* options, rd_kafka_queue_t* queue)>;
    using Take = std::function<void(std::size_t item, rd_kafka_event_t* answer)>;

    Pipeline(rd_kafka_t* client, rd_kafka_admin_op_t operation, std::size_t in_flight_max)
        : client_(client), operation_(operation), in_flight_max_(in_flight_max) {}

    /// Calls `take` once for each item that was answered, in any order. Ends when all are, or a
    /// margin after the deadline. Items that never got their turn are not asked.
    void run(std::size_t items, Deadline deadline, const Start& start, const Take& take) const;

private:
    rd_kafka_t* client_;
    rd_kafka_admin_op_t operation_;
    std::size_t in_flight_max_;
};

}  // namespace txstream::kafka::detail
