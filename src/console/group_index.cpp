#include "console/group_index.hpp"

#include <algorithm>

namespace txstream::console {

std::vector<std::string> GroupIndex::look(
    const std::vector<kafka::GroupListing>& groups, Clock::time_point now
) {
    groups_total_ = groups.size();
    std::map<std::string, Group, std::less<>> kept;
    std::vector<std::pair<Clock::time_point, std::string>> old;
    for (const auto& listing : groups) {
        if (kept.size() == limits_.groups_max) break;
        auto found = groups_.extract(listing.name);
        auto& group =
            found.empty() ? kept[listing.name] : kept.insert(std::move(found)).position->second;
        const auto read_at = group.read_at.value_or(Clock::time_point::min());
        if (!group.read_at || now - read_at >= limits_.good_for)
            old.emplace_back(read_at, listing.name);
    }
    for (auto& [name, gone] : groups_) forget(gone);
    groups_ = std::move(kept);
    std::ranges::sort(old);
    std::vector<std::string> wanted;
    for (auto& [read_at, name] : old) {
        if (wanted.size() == limits_.groups_in_one_look) break;
        wanted.push_back(std::move(name));
    }
    return wanted;
}

void GroupIndex::forget(Group& group) {
    offsets_ -= group.offsets;
    if (group.is_seen) --seen_;
    group.offsets = 0;
    group.is_seen = false;
    group.topics.clear();
}

void GroupIndex::put(
    const std::string& group,
    const std::optional<std::vector<kafka::CommittedOffset>>& committed,
    Clock::time_point now
) {
    const auto at = groups_.find(group);
    if (at == groups_.end()) return;
    at->second.read_at = now;
    forget(at->second);
    if (!committed || offsets_ + committed->size() > limits_.offsets_max) return;
    for (const auto& offset : *committed)
        at->second.topics[offset.topic].emplace_back(offset.partition, offset.offset);
    at->second.offsets = committed->size();
    at->second.is_seen = true;
    offsets_ += committed->size();
    ++seen_;
}

std::vector<GroupIndex::Reader> GroupIndex::readers_of(std::string_view topic) const {
    std::vector<Reader> readers;
    for (const auto& [name, group] : groups_) {
        if (const auto at = group.topics.find(topic); at != group.topics.end())
            readers.push_back({name, &at->second});
    }
    return readers;
}

std::optional<std::int64_t> lag_of(
    const GroupIndex::Offsets& offsets, const std::map<std::int32_t, std::int64_t>& ends
) {
    std::int64_t sum = 0;
    for (const auto& [partition, offset] : offsets) {
        const auto end = ends.find(partition);
        if (end == ends.end()) return std::nullopt;
        sum += std::max<std::int64_t>(end->second - offset, 0);
    }
    return sum;
}

}  // namespace txstream::console
