#pragma once

#include "kafka/record_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace txstream::console {

/// A record that is shown, cut to what is shown of it.
struct FoundRecord {
    enum class Shown : std::uint8_t { whole, masked, hidden };

    kafka::FetchedRecord record{};
    std::size_t size = 0;        ///< of key, value and headers, before anything was cut
    std::size_t key_size = 0;    ///< the same of the key
    std::size_t value_size = 0;  ///< the same of the value, where it is masked of what is masked
    Shown shown = Shown::whole;
};

/// How far a partition has been searched. `start` is where its search began, which does not change
/// from page to page; `low` is what its first offset was.
struct ScanPosition {
    std::int32_t partition = 0;
    std::int64_t start = 0;
    std::int64_t position = 0;
    std::int64_t stop = 0;
    std::int64_t low = 0;
};

/// Decides what a search reads next and which of the found records make the page. Pure.
///
/// A search goes over each partition without holes: forward from `position` up to `stop`, backward
/// from `position` down to it. So its state is one offset for each partition, and going on from
/// there finds every record exactly once. Partitions are merged by timestamp: of those that could
/// still have a record that belongs before the last one of the page the one that is furthest behind
/// is read next. Records of a partition stay in the order of their offsets, whatever their
/// timestamps.
class ScanPlan {
public:
    /// Offsets of one read. The first one is about the page's size, the next ones grow.
    static constexpr std::int64_t kWindowLeast = 16;
    static constexpr std::int64_t kWindowMost = 50'000;
    static constexpr std::size_t kWindowBytes = std::size_t{4} << 20;
    static constexpr std::size_t kWindowsAtOnce = 64;

    struct Seen {
        std::int64_t offset;
        std::int64_t timestamp_ms;
    };
    struct Partition {
        ScanPosition at;
        std::int64_t end = 0;  ///< last stable offset
        std::string error{};   ///< what to say about it; empty: nothing
        bool is_failed = false;

        std::int64_t began = 0;  ///< position when the page began
        std::int64_t window = 0;
        std::optional<kafka::ReadRange> reading{};
        std::optional<std::int64_t> frontier_ms{};  ///< timestamp of the record furthest ahead
        std::vector<FoundRecord> fresh{};           ///< of what is being read
        std::deque<FoundRecord> found{};            ///< in the order of the page
        std::vector<Seen> fresh_seen{};
        std::vector<Seen> seen{};
        std::size_t bytes = 0;
    };

    ScanPlan(bool is_backward, std::vector<Partition> partitions, std::size_t limit);

    /// What to read next; empty: the page is complete, or everything was read.
    std::vector<kafka::ReadRange> next_windows();
    /// Every record of a window, in order; `found` if it is wanted.
    void add(
        const Seen& seen,
        std::int32_t partition,
        std::size_t bytes,
        std::optional<FoundRecord> found
    );
    /// The window is read up to `position`. One that was not read to its end counts as far as it
    /// was read when searching forward, and not at all backward.
    void read(std::int32_t partition, std::int64_t position);
    void failed(std::int32_t partition, std::string error);

    bool is_backward() const noexcept { return is_backward_; }
    std::size_t found_bytes() const noexcept { return found_bytes_; }

    struct Page {
        std::vector<FoundRecord> records;
        std::vector<Partition> partitions;  ///< with the positions where the next page begins
        bool is_end = false;                ///< nothing is left
        bool is_failed = false;             ///< nothing is left but what could not be read
        bool is_full = false;               ///< `limit` or `bytes_max` was reached
    };
    /// The page, of at most `bytes_max` (and at least one record). Ends the plan.
    Page finish(std::size_t bytes_max) &&;

private:
    bool is_exhausted(const Partition& partition) const;
    bool is_before(std::int64_t left_ms, std::int64_t right_ms) const;
    /// Of the page as far as it is known: the timestamp of its last record when it is full.
    std::optional<std::int64_t> last_of_page() const;
    void forget(Partition& partition);
    kafka::ReadRange window_of(Partition& partition) const;
    Partition& find(std::int32_t partition);

    bool is_backward_;
    std::vector<Partition> partitions_;
    std::map<std::int32_t, std::size_t> by_id_;
    std::size_t limit_;
    std::size_t found_bytes_ = 0;
};

}  // namespace txstream::console
