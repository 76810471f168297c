#pragma once

#include "kafka/cluster.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace txstream::console {

/// Which groups have committed offsets in which topics. Kafka can only be asked group by group, so
/// the index is filled bit by bit: each look names some groups to read, those first that were not
/// read yet or whose offsets are oldest. It is honest about how many it has seen. No I/O.
class GroupIndex {
public:
    using Clock = std::chrono::steady_clock;
    struct Limits {
        std::size_t groups_in_one_look = 1'000;
        std::size_t groups_max = 10'000;
        std::size_t offsets_max = 500'000;  ///< 16 bytes each
        std::chrono::seconds good_for{10};
    };
    using Offsets = std::vector<std::pair<std::int32_t, std::int64_t>>;  ///< by partition

    GroupIndex() : GroupIndex(Limits{}) {}
    explicit GroupIndex(Limits limits) : limits_(limits) {}

    /// Forgets groups that are gone; says which are to be read now.
    std::vector<std::string> look(
        const std::vector<kafka::GroupListing>& groups, Clock::time_point now
    );
    /// What was read of a group; nothing where it could not be (then it counts as not seen).
    void put(
        const std::string& group,
        const std::optional<std::vector<kafka::CommittedOffset>>& committed,
        Clock::time_point now
    );

    struct Reader {
        std::string_view group;
        const Offsets* offsets;
    };
    /// Valid until the next look or put.
    std::vector<Reader> readers_of(std::string_view topic) const;

    std::size_t seen() const noexcept { return seen_; }
    std::size_t total() const noexcept { return groups_total_; }

private:
    struct Group {
        std::optional<Clock::time_point> read_at;  ///< or tried
        bool is_seen = false;
        std::map<std::string, Offsets, std::less<>> topics;
        std::size_t offsets = 0;
    };

    void forget(Group& group);

    Limits limits_;
    std::map<std::string, Group, std::less<>> groups_;
    std::size_t groups_total_ = 0;
    std::size_t seen_ = 0;
    std::size_t offsets_ = 0;
};

/// What a group has not read yet of a topic, where the end of each of its partitions is known.
std::optional<std::int64_t> lag_of(
    const GroupIndex::Offsets& offsets, const std::map<std::int32_t, std::int64_t>& ends
);

}  // namespace txstream::console
