#pragma once

#include "console/context.hpp"
#include "console/group_index.hpp"
#include "console/group_lag.hpp"
#include "console/kafka_session.hpp"
#include "console/shared_value.hpp"
#include "kafka/cluster.hpp"

#include <memory>
#include <span>
#include <string>
#include <vector>

namespace txstream::console {

/// What the pages of topics, brokers and groups share of a cluster: got once for all of them.
/// Belongs to the console's thread.
class ClusterFacts {
public:
    explicit ClusterFacts(Context& context);

    /// All brokers and topics. A few seconds old at most.
    Task<Result<std::shared_ptr<const kafka::ClusterState>>> cluster() { return cluster_.get(); }
    Task<Result<std::shared_ptr<const kafka::GroupList>>> groups() { return groups_.get(); }

    /// Last stable offsets. A partition that the metadata does not have gets an error.
    Task<Ends> ends(std::vector<PartitionOf> partitions);

    /// The committed offsets of all groups, as far as they were read; reads some more.
    Task<Result<const GroupIndex*>> group_index();

    KafkaSession& session() noexcept { return session_; }
    LagHistory& lags() noexcept { return lags_; }
    Task<> stop() { return session_.stop(); }

private:
    Task<Result<bool>> read_index();

    KafkaSession session_;
    SharedValue<kafka::ClusterState> cluster_;
    SharedValue<kafka::GroupList> groups_;
    SharedValue<bool> index_read_;
    GroupIndex index_;
    LagHistory lags_;
};

/// Where partitions are, by the metadata. One that it does not have has no leader.
std::vector<kafka::Place> places_of(
    const kafka::ClusterState& state, std::span<const PartitionOf> partitions
);

}  // namespace txstream::console
