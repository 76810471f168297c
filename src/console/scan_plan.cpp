#include "console/scan_plan.hpp"

#include "base/assert.hpp"

#include <algorithm>

namespace txstream::console {

namespace {

std::size_t bytes_of(const FoundRecord& found) {
    return found.record.size() + sizeof(FoundRecord);
}

}  // namespace

ScanPlan::ScanPlan(bool is_backward, std::vector<Partition> partitions, std::size_t limit)
    : is_backward_(is_backward), partitions_(std::move(partitions)), limit_(limit) {
    for (std::size_t i = 0; i < partitions_.size(); ++i) {
        auto& partition = partitions_[i];
        partition.began = partition.at.position;
        partition.window = std::max<std::int64_t>(kWindowLeast, static_cast<std::int64_t>(limit));
        by_id_[partition.at.partition] = i;
    }
}

std::vector<kafka::ReadRange> ScanPlan::next_windows() {
    const auto last = last_of_page();
    std::vector<Partition*> wanted;
    bool is_unknown = false;
    for (auto& partition : partitions_) {
        if (is_exhausted(partition)) continue;
        if (last && partition.frontier_ms && !is_before(*partition.frontier_ms, *last)) continue;
        wanted.push_back(&partition);
        is_unknown = is_unknown || !partition.frontier_ms;
    }
    if (is_unknown) {
        std::erase_if(wanted, [](const Partition* one) { return one->frontier_ms.has_value(); });
    } else {
        // The half that is furthest behind: all come to about the same time, several at once.
        std::ranges::sort(wanted, [&](const Partition* left, const Partition* right) {
            return is_before(*left->frontier_ms, *right->frontier_ms);
        });
        wanted.resize((wanted.size() + 1) / 2);
    }
    if (wanted.size() > kWindowsAtOnce) wanted.resize(kWindowsAtOnce);
    std::vector<kafka::ReadRange> windows;
    for (auto* partition : wanted) windows.push_back(window_of(*partition));
    return windows;
}

kafka::ReadRange ScanPlan::window_of(Partition& partition) const {
    const auto& at = partition.at;
    kafka::ReadRange range{.partition = at.partition};
    if (is_backward_) {
        range.from = std::max(at.stop, at.position - partition.window);
        range.to = at.position;
    } else {
        range.from = at.position;
        range.to = std::min(at.stop, at.position + partition.window);
    }
    partition.reading = range;
    return range;
}

void ScanPlan::add(
    const Seen& seen, std::int32_t id, std::size_t bytes, std::optional<FoundRecord> found
) {
    auto& partition = find(id);
    partition.fresh_seen.push_back(seen);
    partition.bytes += bytes;
    if (!found) return;
    found_bytes_ += bytes_of(*found);
    partition.fresh.push_back(std::move(*found));
}

void ScanPlan::read(std::int32_t id, std::int64_t position) {
    auto& partition = find(id);
    TXS_ASSERT(partition.reading, "a partition reports what it was not asked for");
    const auto range = *partition.reading;
    partition.reading.reset();
    const bool is_whole = position >= range.to;
    if (is_backward_ && !is_whole) {
        forget(partition);
        return;
    }
    partition.at.position = is_backward_ ? range.from : std::min(position, range.to);
    if (is_backward_) {
        std::ranges::reverse(partition.fresh);
        std::ranges::reverse(partition.fresh_seen);
    }
    if (!partition.fresh_seen.empty())
        partition.frontier_ms = partition.fresh_seen.back().timestamp_ms;
    partition.found.insert(
        partition.found.end(),
        std::make_move_iterator(partition.fresh.begin()),
        std::make_move_iterator(partition.fresh.end())
    );
    partition.seen.insert(
        partition.seen.end(), partition.fresh_seen.begin(), partition.fresh_seen.end()
    );
    partition.fresh.clear();
    partition.fresh_seen.clear();
    // Larger windows cost fewer requests, but not more bytes than are read in a moment.
    partition.window = std::min(partition.window * 4, kWindowMost);
    const auto offsets = std::abs(partition.at.position - partition.began);
    if (partition.bytes > 0 && offsets > 0) {
        const auto of_one = partition.bytes / static_cast<std::size_t>(offsets) + 1;
        partition.window = std::clamp(
            static_cast<std::int64_t>(kWindowBytes / of_one), kWindowLeast, partition.window
        );
    }
}

void ScanPlan::failed(std::int32_t id, std::string error) {
    auto& partition = find(id);
    partition.is_failed = true;
    partition.error = std::move(error);
    partition.reading.reset();
    forget(partition);
}

void ScanPlan::forget(Partition& partition) {
    for (const auto& found : partition.fresh) found_bytes_ -= bytes_of(found);
    partition.fresh.clear();
    partition.fresh_seen.clear();
}

ScanPlan::Page ScanPlan::finish(std::size_t bytes_max) && {
    Page page;
    std::size_t bytes = 0;
    while (true) {
        Partition* next = nullptr;
        for (auto& partition : partitions_) {
            if (partition.found.empty()) continue;
            if (next == nullptr || is_before(
                                       partition.found.front().record.timestamp_ms,
                                       next->found.front().record.timestamp_ms
                                   ))
                next = &partition;
        }
        if (next == nullptr) break;
        const auto size = bytes_of(next->found.front());
        if (page.records.size() >= limit_ || (!page.records.empty() && bytes + size > bytes_max)) {
            page.is_full = true;
            break;
        }
        bytes += size;
        page.records.push_back(std::move(next->found.front()));
        next->found.pop_front();
    }
    page.is_full = page.is_full || page.records.size() >= limit_;
    page.is_end = true;
    for (auto& partition : partitions_) {
        if (!partition.found.empty()) {
            const auto first = partition.found.front().record.offset;
            partition.at.position = is_backward_ ? first + 1 : first;
            partition.found.clear();
        }
        if (partition.is_failed || partition.at.position != partition.at.stop) page.is_end = false;
        page.is_failed = page.is_failed || partition.is_failed;
    }
    page.partitions = std::move(partitions_);
    return page;
}

bool ScanPlan::is_exhausted(const Partition& partition) const {
    return partition.is_failed || partition.at.position == partition.at.stop;
}

bool ScanPlan::is_before(std::int64_t left_ms, std::int64_t right_ms) const {
    return is_backward_ ? left_ms > right_ms : left_ms < right_ms;
}

std::optional<std::int64_t> ScanPlan::last_of_page() const {
    std::size_t count = 0;
    for (const auto& partition : partitions_) count += partition.found.size();
    if (count < limit_) return std::nullopt;
    std::vector<std::int64_t> times;
    times.reserve(count);
    for (const auto& partition : partitions_) {
        for (const auto& found : partition.found) times.push_back(found.record.timestamp_ms);
    }
    const auto nth = times.begin() + static_cast<std::ptrdiff_t>(limit_ - 1);
    std::ranges::nth_element(times, nth, [&](std::int64_t left, std::int64_t right) {
        return is_before(left, right);
    });
    return *nth;
}

ScanPlan::Partition& ScanPlan::find(std::int32_t partition) {
    const auto at = by_id_.find(partition);
    TXS_ASSERT(at != by_id_.end(), "a partition that is not searched");
    return partitions_[at->second];
}

}  // namespace txstream::console
