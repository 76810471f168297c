#include "console/cluster_facts.hpp"

#include <algorithm>

namespace txstream::console {

namespace {

constexpr std::chrono::milliseconds kClusterTtl{3'000};
constexpr std::chrono::milliseconds kGroupsTtl{5'000};
constexpr std::chrono::milliseconds kIndexTtl{3'000};

}  // namespace

ClusterFacts::ClusterFacts(Context& context)
    : session_(context.executor, context.offload, context.kafka_properties),
      cluster_(
          context.executor,
          kClusterTtl,
          [this] {
              const auto deadline = Deadline::in(kKafkaTimeout);
              return session_.ask(
                  [deadline](kafka::Cluster& cluster) { return cluster.describe(deadline); },
                  deadline
              );
          }
      ),
      groups_(
          context.executor,
          kGroupsTtl,
          [this] {
              const auto deadline = Deadline::in(kKafkaTimeout);
              return session_.ask(
                  [deadline](kafka::Cluster& cluster) { return cluster.groups(deadline); }, deadline
              );
          }
      ),
      index_read_(context.executor, kIndexTtl, [this] { return read_index(); }) {
}

Task<Result<bool>> ClusterFacts::read_index() {
    TXS_CO_TRY(const auto list, co_await groups());
    auto names = index_.look(list->groups, GroupIndex::Clock::now());
    if (names.empty()) co_return true;
    using Answer = std::vector<Result<std::vector<kafka::CommittedOffset>>>;
    const auto deadline = Deadline::in(kKafkaTimeout);
    TXS_CO_TRY(
        const auto committed,
        co_await session_.ask(
            [deadline, names](kafka::Cluster& cluster) -> Result<Answer> {
                return cluster.committed(names, deadline);
            },
            deadline
        )
    );
    const auto now = GroupIndex::Clock::now();
    for (std::size_t i = 0; i < names.size(); ++i) {
        index_.put(names[i], committed[i] ? std::optional(*committed[i]) : std::nullopt, now);
    }
    co_return true;
}

Task<Result<const GroupIndex*>> ClusterFacts::group_index() {
    TXS_CO_TRY(const auto read, co_await index_read_.get());
    co_return &index_;
}

Task<Ends> ClusterFacts::ends(std::vector<PartitionOf> partitions) {
    Ends ends;
    if (partitions.empty()) co_return ends;
    const auto state = co_await cluster();
    if (!state) {
        for (auto& partition : partitions)
            ends.emplace(std::move(partition), tl::unexpected<Error>(state.error()));
        co_return ends;
    }
    auto places = places_of(**state, partitions);
    const auto deadline = Deadline::in(kKafkaTimeout);
    using Answer = std::vector<Result<std::int64_t>>;
    auto offsets = co_await session_.ask(
        [deadline, places = std::move(places)](kafka::Cluster& cluster) -> Result<Answer> {
            return cluster.offsets(places, kafka::Edge::last_stable, deadline);
        },
        deadline
    );
    for (std::size_t i = 0; i < partitions.size(); ++i) {
        ends.emplace(
            std::move(partitions[i]),
            offsets ? std::move((*offsets)[i]) : tl::unexpected<Error>(offsets.error())
        );
    }
    co_return ends;
}

std::vector<kafka::Place> places_of(
    const kafka::ClusterState& state, std::span<const PartitionOf> partitions
) {
    std::vector<kafka::Place> places;
    places.reserve(partitions.size());
    for (const auto& [name, partition] : partitions) {
        kafka::Place place{name, partition, -1};
        if (const auto* topic = state.find(name)) {
            const auto at = std::ranges::lower_bound(
                topic->partitions, partition, {}, &kafka::PartitionState::id
            );
            if (at != topic->partitions.end() && at->id == partition) place.leader = at->leader;
        }
        places.push_back(std::move(place));
    }
    return places;
}

}  // namespace txstream::console
