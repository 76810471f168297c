#include "console/record_place.hpp"

#include "console/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <ranges>

namespace txstream::console {

namespace {

using namespace std::chrono_literals;

/// Records that are read to find one.
constexpr std::size_t kRecordsMax = 50'000;

/// Cuts off what retention has deleted and what is behind the end.
Result<std::vector<kafka::ReadRange>> still_there(
    kafka::RecordReader& reader,
    const std::string& topic,
    std::vector<kafka::ReadRange> ranges,
    RecordPlace& place,
    Deadline deadline
) {
    std::vector<std::int32_t> partitions;
    for (const auto& range : ranges) partitions.push_back(range.partition);
    TXS_TRY(const auto bounds, reader.bounds(topic, partitions, deadline));
    std::vector<kafka::ReadRange> left;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        auto range = ranges[i];
        if (bounds[i].error) {
            place.is_complete = false;
            continue;
        }
        place.is_expired = place.is_expired || range.from < bounds[i].low;
        range.from = std::max(range.from, bounds[i].low);
        range.to = std::min(range.to, bounds[i].end);
        if (range.from < range.to) left.push_back(range);
    }
    return left;
}

}  // namespace

std::optional<std::string_view> record_header(
    const kafka::FetchedRecord& record, std::string_view name
) {
    const auto found = std::ranges::find(record.headers, name, &kafka::FetchedHeader::name);
    if (found == record.headers.end() || !found->value) return std::nullopt;
    return *found->value;
}

Result<RecordPlace> find_record(
    kafka::RecordReader& reader,
    const std::string& topic,
    std::vector<kafka::ReadRange> ranges,
    const std::string& event_id,
    Deadline deadline
) {
    RecordPlace place;
    TXS_TRY(ranges, still_there(reader, topic, std::move(ranges), place, deadline));
    if (ranges.empty()) return place;
    TXS_CHECK(reader.start(topic, ranges));
    auto open = ranges.size();
    while (open > 0) {
        if (deadline.passed() || place.searched >= kRecordsMax) {
            place.is_complete = false;
            break;
        }
        auto step = reader.next(50ms);
        if (const auto* record = std::get_if<kafka::FetchedRecord>(&step)) {
            ++place.searched;
            if (record_header(*record, "event_id") != event_id) continue;
            place.partition = record->partition;
            place.offset = record->offset;
            break;
        }
        if (const auto* reached = std::get_if<kafka::Reached>(&step)) {
            if (reached->is_done) --open;
        } else if (std::holds_alternative<kafka::ReadFailed>(step)) {
            place.is_complete = false;
            --open;
        }
    }
    reader.stop();
    return place;
}

std::vector<kafka::ReadRange> record_ranges(const std::string& records, std::string_view topic) {
    std::map<std::int32_t, kafka::ReadRange> ranges;
    const auto all = Json::parse(records, nullptr, false);
    if (!all.is_array()) return {};
    for (const auto& one : all) {
        if (!one.is_object() || one.value("topic", "") != topic) continue;
        const kafka::ReadRange range{
            .partition = one.value("partition", 0),
            .from = one.value("first", std::int64_t{0}),
            .to = one.value("last", std::int64_t{-1}) + 1,
        };
        auto& whole = ranges.try_emplace(range.partition, range).first->second;
        whole.from = std::min(whole.from, range.from);
        whole.to = std::max(whole.to, range.to);
    }
    const auto values = std::views::values(ranges);
    return {values.begin(), values.end()};
}

std::string why_not_found(const RecordPlace& place) {
    if (!place.is_complete) return "the search was broken off; ask again";
    if (place.is_expired)
        return "retention of the topic has deleted the offsets between which it was";
    return "no record between the offsets of its publication has its event_id: the topic was "
           "re-created or compacted";
}

}  // namespace txstream::console
