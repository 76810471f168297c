#include "console/newest_record.hpp"

#include <algorithm>
#include <chrono>
#include <variant>

namespace txstream::console {

namespace {

constexpr std::int64_t kOffsetsBack = 20;
constexpr std::size_t kPartitionsMax = 64;
constexpr std::chrono::milliseconds kStep{50};

}  // namespace

std::optional<std::int64_t> newest_record(
    const kafka::Properties& properties,
    const std::string& topic,
    const std::vector<kafka::PartitionBounds>& bounds,
    Deadline deadline
) {
    std::vector<kafka::ReadRange> ranges;
    for (const auto& each : bounds) {
        if (each.error || each.end <= each.low) continue;
        ranges.push_back({each.partition, std::max(each.low, each.end - kOffsetsBack), each.end});
    }
    // Some of many would be no answer.
    if (ranges.empty() || ranges.size() > kPartitionsMax) return std::nullopt;
    const auto reader = kafka::RecordReader::open(properties, nullptr);
    if (!reader || !(*reader)->start(topic, ranges)) return std::nullopt;
    std::optional<std::int64_t> newest;
    auto left = ranges.size();
    while (left > 0 && !deadline.passed()) {
        const auto step = (*reader)->next(kStep);
        if (const auto* record = std::get_if<kafka::FetchedRecord>(&step)) {
            newest = std::max(newest.value_or(0), record->timestamp_ms);
        } else if (const auto* reached = std::get_if<kafka::Reached>(&step)) {
            if (reached->is_done) --left;
        } else if (std::get_if<kafka::ReadFailed>(&step) != nullptr) {
            --left;
        }
    }
    return left == 0 ? newest : std::nullopt;
}

}  // namespace txstream::console
