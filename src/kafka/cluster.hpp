#pragma once

#include "base/error.hpp"
#include "kafka/producer.hpp"
#include "kafka/topic_config.hpp"
#include "runtime/deadline.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::kafka {

/// Why a part of the cluster's answer is missing. Not each of them is a fault.
enum class Gap : std::uint8_t {
    failed,       ///< no answer, or one that says no: may work later
    denied,       ///< we lack the right
    unsupported,  ///< this broker or this librdkafka has no such request
    unknown,      ///< there is no such topic or group
};
Gap gap_of(const Error& error) noexcept;

struct BrokerState {
    std::int32_t id = -1;
    std::string host;  ///< as advertised to clients
    int port = 0;
};

struct PartitionState {
    std::int32_t id = 0;
    std::int32_t leader = -1;  ///< -1: none
    std::vector<std::int32_t> replicas;
    std::vector<std::int32_t> in_sync;
};

struct TopicState {
    std::string name;
    std::vector<PartitionState> partitions;  ///< sorted by id
    std::optional<Error> error;
};

struct ClusterState {
    std::string id;  ///< empty: the broker does not say
    std::int32_t controller = -1;
    std::vector<BrokerState> brokers;  ///< sorted by id
    std::vector<TopicState> topics;    ///< sorted by name; topics we may not see are missing

    const TopicState* find(std::string_view topic) const;
};

/// A partition and who leads it, as ClusterState reports it.
struct Place {
    std::string topic;
    std::int32_t partition = 0;
    std::int32_t leader = -1;
};

enum class Edge : std::uint8_t {
    first,        ///< offset of the oldest record that is kept
    last_stable,  ///< one past the newest record that a consumer with read_committed gets
    high,         ///< one past the newest record
};

/// Where the value of a configuration entry comes from.
enum class ConfigSource : std::uint8_t { topic, broker, broker_default, file, built_in, other };

struct ConfigItem {
    std::string name;
    std::optional<std::string> value;  ///< nothing where it is sensitive
    ConfigSource source = ConfigSource::other;
    bool is_sensitive = false;
    bool is_read_only = false;
};

/// What one broker said when it was asked itself.
struct BrokerAnswer {
    Result<std::vector<ConfigItem>> config;
    std::chrono::microseconds took{0};  ///< with connecting, where there was no connection
};

enum class GroupPhase : std::uint8_t { unknown, preparing, completing, stable, dead, empty };

struct GroupListing {
    std::string name;
    GroupPhase phase = GroupPhase::unknown;
    bool is_simple = false;  ///< commits without members
};

struct GroupList {
    std::vector<GroupListing> groups;  ///< sorted by name
    std::vector<Error> missing;        ///< one for each broker that did not answer
};

struct MemberState {
    std::string id;
    std::string client_id;
    std::string instance_id;  ///< empty: not a static member
    std::string host;
    std::vector<std::pair<std::string, std::int32_t>> assigned;  ///< topic, partition; sorted
};

struct GroupState {
    GroupPhase phase = GroupPhase::unknown;
    std::string assignor;
    std::int32_t coordinator = -1;
    std::vector<MemberState> members;
};

struct CommittedOffset {
    std::string topic;
    std::int32_t partition = 0;
    std::int64_t offset = 0;
    std::string metadata;
};

/// What a cluster says about itself: brokers, topics, configurations, consumer groups. Reads only:
/// it joins no group, commits nothing, and creates no topic, not even by asking for one.
///
/// Any number of threads may call it. Each call blocks until its deadline at most, with a margin of
/// kMargin for librdkafka's scheduling, and reports what it has: an item without an answer carries
/// the error of that item alone.
///
/// Ask about groups only by names that `groups` reported. To look up the coordinator of any group,
/// even of one that does not exist, makes a broker without __consumer_offsets create that topic.
class Cluster {
public:
    static constexpr std::chrono::milliseconds kMargin{300};
    struct Limits {
        /// Of one ListOffsets request; librdkafka's time for one grows with its square.
        std::size_t partitions_in_one_request = 500;
        /// Of one DescribeConfigs request: a topic has about 40 entries.
        std::size_t topics_in_one_request = 100;
        /// Requests about groups that are under way in one call.
        std::size_t groups_in_flight = 100;
        std::size_t brokers_in_flight = 50;
    };

    static Result<std::unique_ptr<Cluster>> open(
        const Properties& properties, LogCallback log, Limits limits
    );
    ~Cluster();
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;

    /// One metadata request for everything.
    Result<ClusterState> describe(Deadline deadline);

    std::vector<Result<std::int64_t>> offsets(
        const std::vector<Place>& places, Edge edge, Deadline deadline
    );
    /// Offset of the first record at or after the time; nothing where there is none.
    std::vector<Result<std::optional<std::int64_t>>> offsets_at(
        const std::vector<Place>& places, std::int64_t unix_ms, Deadline deadline
    );

    /// The largest timestamp in each partition, in ms since 1970; nothing where it is empty.
    /// Gap::unsupported before librdkafka 2.3 and Kafka 3.0.
    std::vector<Result<std::optional<std::int64_t>>> newest_times(
        const std::vector<Place>& places, Deadline deadline
    );

    std::vector<Result<std::vector<ConfigItem>>> topic_configs(
        const std::vector<std::string>& topics, Deadline deadline
    );
    /// Asks each broker itself: one that cannot be reached under its advertised address has the
    /// error that says why.
    std::vector<BrokerAnswer> broker_configs(
        const std::vector<BrokerState>& brokers, Deadline deadline
    );

    Result<GroupList> groups(Deadline deadline);
    std::vector<Result<GroupState>> describe_groups(
        const std::vector<std::string>& groups, Deadline deadline
    );
    /// Sorted by topic and partition.
    std::vector<Result<std::vector<CommittedOffset>>> committed(
        const std::vector<std::string>& groups, Deadline deadline
    );

    /// A broker refused our login, and why: only a new Cluster, with the secrets of now, gets in.
    std::optional<Error> refused_login() const;

private:
    class Impl;
    Result<> has_admin(Deadline deadline);
    explicit Cluster(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace txstream::kafka
