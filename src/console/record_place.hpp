#pragma once

#include "kafka/record_reader.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Which record of Kafka is an event's: a publication says between which offsets, the record's
/// header says which event.
namespace txstream::console {

struct RecordPlace {
    std::optional<std::int32_t> partition;  ///< nothing: it was not found
    std::int64_t offset = 0;
    std::uint64_t searched = 0;
    bool is_expired = false;  ///< retention has passed some of the offsets
    bool is_complete = true;
};

std::optional<std::string_view> record_header(
    const kafka::FetchedRecord& record, std::string_view name
);

/// Of outbox::PublicationFacts::records, one range for each partition of the topic: a publication
/// of several pages names some of them again.
std::vector<kafka::ReadRange> record_ranges(const std::string& records, std::string_view topic);

/// Blocks, until the deadline at the latest: then the place is not complete.
Result<RecordPlace> find_record(
    kafka::RecordReader& reader,
    const std::string& topic,
    std::vector<kafka::ReadRange> ranges,
    const std::string& event_id,
    Deadline deadline
);
std::string why_not_found(const RecordPlace& place);

}  // namespace txstream::console
