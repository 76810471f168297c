#include "console/group_lag.hpp"

#include <algorithm>
#include <iterator>
#include <set>

namespace txstream::console {

namespace {

std::map<PartitionOf, std::string> readers(const std::optional<kafka::GroupState>& state) {
    std::map<PartitionOf, std::string> found;
    if (!state) return found;
    for (const auto& member : state->members) {
        for (const auto& partition : member.assigned)
            found.emplace(partition, member.client_id + " @ " + member.host);
    }
    return found;
}

void put_end(GroupOffset& offset, const Ends& ends) {
    const auto at = ends.find({offset.topic, offset.partition});
    if (at == ends.end()) return;
    if (!at->second) {
        offset.error = at->second.error().what();
        return;
    }
    offset.end = *at->second;
    // A consumer that also reads what is not committed may be past the last stable offset.
    if (offset.committed) offset.lag = std::max<std::int64_t>(*offset.end - *offset.committed, 0);
}

}  // namespace

std::vector<PartitionOf> partitions_of(
    const std::vector<kafka::CommittedOffset>& committed,
    const std::optional<kafka::GroupState>& state
) {
    std::set<PartitionOf> found;
    for (const auto& offset : committed) found.emplace(offset.topic, offset.partition);
    for (const auto& [partition, reader] : readers(state)) found.insert(partition);
    return {found.begin(), found.end()};
}

GroupLag lag_of(
    const std::vector<kafka::CommittedOffset>& committed,
    const std::optional<kafka::GroupState>& state,
    const Ends& ends
) {
    const auto read_by = readers(state);
    std::set<std::string, std::less<>> topics_read;
    for (const auto& [partition, reader] : read_by) topics_read.insert(partition.first);
    // Without assignments (a rebalance, or members that cannot be read) nothing can be said.
    const bool is_assigned =
        state && state->phase == kafka::GroupPhase::stable && !topics_read.empty();

    GroupLag group;
    std::map<PartitionOf, std::int64_t> committed_at;
    for (const auto& offset : committed)
        committed_at[{offset.topic, offset.partition}] = offset.offset;
    std::set<std::string> topics;
    bool is_known = true;
    std::int64_t sum = 0;
    for (const auto& partition : partitions_of(committed, state)) {
        GroupOffset offset;
        offset.topic = partition.first;
        offset.partition = partition.second;
        if (const auto at = committed_at.find(partition); at != committed_at.end())
            offset.committed = at->second;
        if (const auto at = read_by.find(partition); at != read_by.end())
            offset.member = at->second;
        offset.is_stale = is_assigned && !topics_read.contains(offset.topic);
        put_end(offset, ends);
        if (!offset.is_stale) {
            topics.insert(offset.topic);
            // A member that has not committed yet is about to: it hides nothing that is known.
            if (offset.committed && !offset.lag) is_known = false;
            sum += offset.lag.value_or(0);
        }
        group.offsets.push_back(std::move(offset));
    }
    group.topics.assign(topics.begin(), topics.end());
    const bool has_any = std::ranges::any_of(group.offsets, [](const auto& offset) {
        return !offset.is_stale && offset.lag;
    });
    if (is_known && has_any) group.lag = sum;
    return group;
}

void LagHistory::add(const std::string& group, Clock::time_point now, std::int64_t lag) {
    auto& samples = groups_[group];
    while (!samples.empty() && now - samples.front().at > limits_.age_max) samples.pop_front();
    if (!samples.empty() && now - samples.back().at < limits_.step) return;
    samples.push_back({now, lag});
    if (samples.size() > limits_.samples_max) samples.pop_front();
    if (groups_.size() <= limits_.groups_max) return;
    groups_.erase(std::ranges::min_element(groups_, {}, [](const auto& each) {
        return each.second.empty() ? Clock::time_point::min() : each.second.back().at;
    }));
}

std::vector<LagHistory::Sample> LagHistory::of(const std::string& group, Clock::time_point now)
    const {
    const auto at = groups_.find(group);
    if (at == groups_.end()) return {};
    std::vector<Sample> recent;
    std::ranges::copy_if(at->second, std::back_inserter(recent), [&](const auto& sample) {
        return now - sample.at <= limits_.age_max;
    });
    if (recent.size() < 2) return {};
    return recent;
}

}  // namespace txstream::console
