#pragma once

#include "kafka/producer.hpp"
#include "kafka/record_reader.hpp"
#include "runtime/deadline.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace txstream::console {

/// The largest timestamp, in ms since 1970, among the last records of a topic's partitions. For
/// libraries that cannot ask for it: a client of its own reads the last few offsets of each
/// partition, where transaction markers leave records at all. Blocks until the deadline at most.
std::optional<std::int64_t> newest_record(
    const kafka::Properties& properties,
    const std::string& topic,
    const std::vector<kafka::PartitionBounds>& bounds,
    Deadline deadline
);

}  // namespace txstream::console
