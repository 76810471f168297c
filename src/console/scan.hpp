#pragma once

#include "console/scan_plan.hpp"
#include "kafka/record_reader.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::console {

/// Where a search begins.
struct Seek {
    enum class Kind : std::uint8_t { newest, oldest, offset, time };
    Kind kind = Kind::newest;
    std::int64_t value = 0;  ///< the offset, or milliseconds since 1970

    bool is_backward() const noexcept { return kind == Kind::newest; }
};
/// "newest", "oldest", "offset:N", "time:RFC3339", "-1h". Nothing: none of these.
std::optional<Seek> parse_seek(std::string_view text, std::chrono::system_clock::time_point now);

/// Where records come from. kafka::RecordReader with one topic; in tests a model.
class RecordSource {
public:
    virtual ~RecordSource() = default;
    virtual Result<std::vector<kafka::PartitionBounds>> bounds(
        const std::vector<std::int32_t>& partitions
    ) = 0;
    /// -1 where all records are older.
    virtual Result<std::vector<std::int64_t>> offsets_at(
        const std::vector<std::int32_t>& partitions, std::int64_t timestamp_ms
    ) = 0;
    virtual Result<> start(const std::vector<kafka::ReadRange>& ranges) = 0;
    virtual kafka::ReadStep next() = 0;
    virtual void stop() = 0;
};

/// What one page of a search may cost.
struct ScanBudget {
    std::size_t records = 200'000;
    std::size_t bytes = std::size_t{128} << 20;       ///< read
    std::size_t page_bytes = std::size_t{4} << 20;    ///< shown
    std::size_t found_bytes = std::size_t{12} << 20;  ///< held, to be merged
    std::chrono::milliseconds time{4000};
};

struct ScanRequest {
    Seek seek;
    std::vector<std::int32_t> partitions;
    std::size_t limit = 50;
    std::vector<ScanPosition> from;  ///< of the page before; empty: the first page
    std::uint64_t matched_before = 0;
    /// What is shown of the record if it is wanted.
    std::function<std::optional<FoundRecord>(kafka::FetchedRecord&&)> look;
};

struct ScanPage {
    enum class Stopped : std::uint8_t { limit, end, time, bytes, records, error };

    /// Of one partition: what this page covers.
    struct Covered {
        std::int32_t partition;
        std::int64_t from;
        std::int64_t to;
        std::int64_t low;
        std::int64_t end;
        std::int64_t gaps;  ///< offsets without a record
        std::string error;
    };

    std::vector<FoundRecord> records;
    std::vector<Covered> covered;
    std::vector<ScanPosition> next;  ///< where the next page begins; empty: there is none
    std::uint64_t matched = 0;       ///< with those of the pages before
    std::int64_t scanned = 0;        ///< offsets, with those of the pages before
    std::int64_t total = 0;
    std::optional<std::int64_t> oldest_ms;
    std::optional<std::int64_t> newest_ms;
    Stopped stopped = Stopped::end;
};

std::string_view to_string(ScanPage::Stopped stopped) noexcept;

/// Reads one page. `is_time_up` is asked often. An error: nothing could be read at all.
Result<ScanPage> scan(
    RecordSource& source,
    const ScanRequest& request,
    const ScanBudget& budget,
    const std::function<bool()>& is_time_up
);

}  // namespace txstream::console
