#pragma once

#include "kafka/cluster.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace txstream::console {

using PartitionOf = std::pair<std::string, std::int32_t>;
/// Ends (last stable offsets) of partitions; one that is missing was not asked.
using Ends = std::map<PartitionOf, Result<std::int64_t>>;

/// How far a group has read one partition.
struct GroupOffset {
    std::string topic;
    std::int32_t partition = 0;
    std::optional<std::int64_t> committed;
    std::optional<std::int64_t> end;
    std::optional<std::int64_t> lag;  ///< nothing until both are known
    std::string member;               ///< "client id @ host"; empty: nobody reads it
    /// It was read once; the group has members, and none of them reads this topic.
    bool is_stale = false;
    std::string error;
};

struct GroupLag {
    std::vector<GroupOffset> offsets;  ///< sorted by topic and partition
    std::vector<std::string> topics;   ///< that are not stale
    /// Over all that is not stale; nothing while any of it is not known.
    std::optional<std::int64_t> lag;
};

GroupLag lag_of(
    const std::vector<kafka::CommittedOffset>& committed,
    const std::optional<kafka::GroupState>& state,
    const Ends& ends
);

/// The partitions whose ends lag_of needs.
std::vector<PartitionOf> partitions_of(
    const std::vector<kafka::CommittedOffset>& committed,
    const std::optional<kafka::GroupState>& state
);

/// Lag over time of the groups that pages look at. Grows only while they look.
class LagHistory {
public:
    using Clock = std::chrono::system_clock;
    struct Limits {
        std::size_t groups_max = 500;   ///< beyond, the one that was looked at longest ago goes
        std::size_t samples_max = 240;  ///< of each
        std::chrono::seconds step{5};   ///< samples are at least this far apart
        /// Older samples are of an earlier look and say nothing about a trend.
        std::chrono::minutes age_max{60};
    };
    struct Sample {
        Clock::time_point at;
        std::int64_t lag;
    };

    LagHistory() : LagHistory(Limits{}) {}
    explicit LagHistory(Limits limits) : limits_(limits) {}

    void add(const std::string& group, Clock::time_point now, std::int64_t lag);
    /// Empty until there are two.
    std::vector<Sample> of(const std::string& group, Clock::time_point now) const;

private:
    Limits limits_;
    std::map<std::string, std::deque<Sample>, std::less<>> groups_;
};

}  // namespace txstream::console
