#include "kafka/admin.hpp"
#include "kafka/cluster.hpp"
#include "kafka/detail/handles.hpp"
#include "kafka/dev_broker.hpp"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka_mock.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace txstream::kafka {
namespace {

using namespace std::chrono_literals;

std::string real_broker() {
    const char* address = std::getenv("TXSTREAM_TEST_KAFKA");
    if (address == nullptr)
        throw std::runtime_error("TXSTREAM_TEST_KAFKA is not set; run the tests with `make test`");
    return address;
}

std::string own_name(const std::string& what) {
    return what + "-" + std::to_string(std::random_device{}());
}

Deadline soon() {
    return Deadline::in(20s);
}

std::unique_ptr<Cluster> open(const std::string& bootstrap, Cluster::Limits limits = {}) {
    return Cluster::open({{"bootstrap.servers", bootstrap}}, nullptr, limits).value();
}

std::string own_topic(int partitions) {
    const auto topic = own_name("cluster");
    ensure_topic({{"bootstrap.servers", real_broker()}}, topic, partitions, 1, soon(), nullptr)
        .value();
    return topic;
}

detail::Client make_client(rd_kafka_type_t type, Properties properties) {
    properties.emplace_back("bootstrap.servers", real_broker());
    return detail::make_client(type, detail::make_conf(properties, nullptr).value()).value();
}

void check(rd_kafka_error_t* error) {
    if (error == nullptr) return;
    ADD_FAILURE() << rd_kafka_error_string(error);
    rd_kafka_error_destroy(error);
}

void send(rd_kafka_t* client, const std::string& topic, int partition, std::int64_t unix_ms) {
    static char value[] = "v";  // not copied
    std::array<rd_kafka_vu_t, 4> fields{};
    fields[0].vtype = RD_KAFKA_VTYPE_TOPIC;
    fields[0].u.cstr = topic.c_str();
    fields[1].vtype = RD_KAFKA_VTYPE_PARTITION;
    fields[1].u.i32 = partition;
    fields[2].vtype = RD_KAFKA_VTYPE_VALUE;
    fields[2].u.mem = {.ptr = value, .size = 1};
    fields[3].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
    fields[3].u.i64 = unix_ms;
    check(rd_kafka_produceva(client, fields.data(), fields.size()));
}

void produce(rd_kafka_t* client, const std::string& topic, int records, std::int64_t unix_ms) {
    for (int i = 0; i < records; ++i) send(client, topic, 0, unix_ms);
    ASSERT_EQ(rd_kafka_flush(client, 20'000), RD_KAFKA_RESP_ERR_NO_ERROR);
}

/// Of a topic that was just created: brokers hear of it a little later.
ClusterState state_with(Cluster& cluster, const std::string& topic) {
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (true) {
        auto state = cluster.describe(soon()).value();
        const auto* found = state.find(topic);
        if (found != nullptr && !found->partitions.empty() &&
            std::ranges::all_of(found->partitions, [](const auto& each) {
                return each.leader >= 0;
            }))
            return state;
        if (std::chrono::steady_clock::now() > end)
            throw std::runtime_error(topic + " is not in the metadata");
    }
}

std::vector<Place> places_of(Cluster& cluster, const std::string& topic) {
    std::vector<Place> places;
    const auto state = state_with(cluster, topic);
    for (const auto& partition : state.find(topic)->partitions)
        places.push_back({topic, partition.id, partition.leader});
    return places;
}

/// Offsets as numbers; an error is -1.
std::vector<std::int64_t> numbers(const std::vector<Result<std::int64_t>>& results) {
    std::vector<std::int64_t> values;
    for (const auto& result : results) values.push_back(result.value_or(-1));
    return values;
}

std::vector<std::string> topic_names(const ClusterState& state) {
    std::vector<std::string> names;
    for (const auto& topic : state.topics) names.push_back(topic.name);
    return names;
}

/// A member of a group that has read a topic's first partition and committed.
class Member {
public:
    Member(const std::string& group, const std::string& topic)
        : client_(make_client(
              RD_KAFKA_CONSUMER,
              {{"group.id", group},
               {"client.id", "reader"},
               {"enable.auto.commit", "false"},
               {"auto.offset.reset", "earliest"}}
          )) {
        auto* topics = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(topics, topic.c_str(), RD_KAFKA_PARTITION_UA);
        rd_kafka_subscribe(client_.get(), topics);
        rd_kafka_topic_partition_list_destroy(topics);
    }
    ~Member() { rd_kafka_consumer_close(client_.get()); }

    /// Reads this many records and commits behind them.
    void read_and_commit(int records) {
        const auto end = std::chrono::steady_clock::now() + 30s;
        while (records > 0 && std::chrono::steady_clock::now() < end) {
            auto* message = rd_kafka_consumer_poll(client_.get(), 100);
            if (message == nullptr) continue;
            if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR && --records == 0)
                EXPECT_EQ(rd_kafka_commit_message(client_.get(), message, 0), 0);
            rd_kafka_message_destroy(message);
        }
        ASSERT_EQ(records, 0) << "records were not read in time";
    }

private:
    detail::Client client_;
};

TEST(ClusterTest, TheEndOfAPartitionIsWhatCommittedReadersGetAndTheHighWatermarkIsBeyondIt) {
    const auto topic = own_topic(3);
    const auto producer = make_client(RD_KAFKA_PRODUCER, {{"transactional.id", topic}});
    check(rd_kafka_init_transactions(producer.get(), 20'000));
    check(rd_kafka_begin_transaction(producer.get()));
    produce(producer.get(), topic, 10, 1'700'000'000'000);
    check(rd_kafka_commit_transaction(producer.get(), 20'000));
    check(rd_kafka_begin_transaction(producer.get()));
    produce(producer.get(), topic, 5, 1'700'000'001'000);
    check(rd_kafka_abort_transaction(producer.get(), 20'000));
    check(rd_kafka_begin_transaction(producer.get()));
    produce(producer.get(), topic, 7, 1'700'000'002'000);

    const auto cluster = open(real_broker());
    const auto places = places_of(*cluster, topic);
    using Numbers = std::vector<std::int64_t>;
    EXPECT_EQ(numbers(cluster->offsets(places, Edge::first, soon())), (Numbers{0, 0, 0}));
    // 10 records, a commit marker, 5 aborted records, an abort marker; the open transaction's 7
    // are not stable.
    EXPECT_EQ(numbers(cluster->offsets(places, Edge::last_stable, soon())), (Numbers{17, 0, 0}));
    EXPECT_EQ(numbers(cluster->offsets(places, Edge::high, soon())), (Numbers{24, 0, 0}));

    const auto since = cluster->offsets_at(places, 1'700'000'000'500, soon());
    EXPECT_EQ(since.at(0).value(), 10) << "the commit marker, which has the time of the commit";
    EXPECT_EQ(since.at(1).value(), std::nullopt) << "an empty partition has no record of any time";
    const auto late = cluster->offsets_at(places, 1'800'000'000'000, soon());
    EXPECT_EQ(late.at(0).value(), std::nullopt);
    check(rd_kafka_commit_transaction(producer.get(), 20'000));
    // The marker is written after the commit has returned.
    const auto end = std::chrono::steady_clock::now() + 20s;
    const auto last_stable = [&] {
        return numbers(cluster->offsets(places, Edge::last_stable, soon())).at(0);
    };
    while (last_stable() != 25 && std::chrono::steady_clock::now() < end) {
    }
    EXPECT_EQ(last_stable(), 25);
}

TEST(ClusterTest, TheTimeOfTheNewestRecordIsKnownWhereTheLibraryCanAskForIt) {
    const auto topic = own_topic(2);
    const auto producer = make_client(RD_KAFKA_PRODUCER, {});
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::system_clock::now().time_since_epoch()
    )
                         .count();
    produce(producer.get(), topic, 1, now - 1000);
    produce(producer.get(), topic, 1, now - 2000);
    const auto cluster = open(real_broker(), {.partitions_in_one_request = 1});
    const auto times = cluster->newest_times(places_of(*cluster, topic), soon());
    ASSERT_EQ(times.size(), 2U);
    if (RD_KAFKA_VERSION < 0x020300ff) {
        for (const auto& time : times) EXPECT_EQ(gap_of(time.error()), Gap::unsupported);
    } else {
        EXPECT_EQ(times[0].value(), now - 1000);
        EXPECT_EQ(times[1].value(), std::nullopt);
    }
}

TEST(ClusterTest, ManyPartitionsAreAskedInBatchesAndEachAnswerIsThatOfItsPartition) {
    constexpr std::size_t kPartitions = 8;
    const auto topic = own_topic(kPartitions);
    const auto producer = make_client(RD_KAFKA_PRODUCER, {});
    for (int partition = 0; partition < static_cast<int>(kPartitions); ++partition) {
        for (int i = 0; i < partition; ++i)
            send(producer.get(), topic, partition, 1'700'000'000'000);
    }
    ASSERT_EQ(rd_kafka_flush(producer.get(), 20'000), RD_KAFKA_RESP_ERR_NO_ERROR);
    const auto cluster = open(real_broker(), {.partitions_in_one_request = 3});
    auto places = places_of(*cluster, topic);
    places.insert(places.begin(), {topic, 0, -1});
    places.push_back({own_name("missing"), 0, places.back().leader});
    const auto ends = cluster->offsets(places, Edge::last_stable, soon());
    ASSERT_EQ(ends.size(), kPartitions + 2);
    EXPECT_EQ(ends.front().error().origin(), "LEADER_NOT_AVAILABLE");
    for (std::size_t i = 0; i < kPartitions; ++i)
        EXPECT_EQ(ends[i + 1].value(), static_cast<std::int64_t>(i));
    EXPECT_EQ(gap_of(ends.back().error()), Gap::unknown);
}

TEST(ClusterTest, ConfigurationSaysWhereEachValueComesFrom) {
    const auto topic = own_topic(1);
    const auto cluster = open(real_broker());
    const auto state = state_with(*cluster, topic);
    EXPECT_FALSE(state.id.empty());
    EXPECT_EQ(state.controller, 1);
    ASSERT_EQ(state.brokers.size(), 1U);
    EXPECT_EQ(state.brokers[0].host + ":" + std::to_string(state.brokers[0].port), real_broker());
    const auto& partition = state.find(topic)->partitions.at(0);
    EXPECT_EQ(partition.leader, 1);
    EXPECT_EQ(partition.replicas, std::vector<std::int32_t>{1});
    EXPECT_EQ(partition.in_sync, std::vector<std::int32_t>{1});

    const auto configs = cluster->topic_configs({topic, own_name("missing")}, soon());
    const auto& items = configs.at(0).value();
    const auto bytes = std::ranges::find(items, "max.message.bytes", &ConfigItem::name);
    ASSERT_NE(bytes, items.end());
    EXPECT_EQ(bytes->value, "1048588");
    EXPECT_EQ(bytes->source, ConfigSource::built_in);
    EXPECT_EQ(gap_of(configs.at(1).error()), Gap::unknown);

    const auto of_broker = cluster->broker_configs(state.brokers, soon()).at(0).config.value();
    const auto partitions = std::ranges::find(of_broker, "num.partitions", &ConfigItem::name);
    ASSERT_NE(partitions, of_broker.end());
    EXPECT_EQ(partitions->source, ConfigSource::file);
}

TEST(ClusterTest, GroupsAreReadWithTheirMembersAndOffsetsAndNothingChangesByLooking) {
    const auto topic = own_topic(2);
    const auto producer = make_client(RD_KAFKA_PRODUCER, {});
    produce(producer.get(), topic, 10, 1'700'000'000'000);
    const auto group = own_name("group");
    Member member(group, topic);
    member.read_and_commit(4);

    const auto cluster = open(real_broker());
    const auto before = state_with(*cluster, topic);
    const auto listed = cluster->groups(soon()).value();
    EXPECT_TRUE(listed.missing.empty());
    const auto found = std::ranges::find(listed.groups, group, &GroupListing::name);
    ASSERT_NE(found, listed.groups.end());
    EXPECT_EQ(found->phase, GroupPhase::stable);

    const auto described = cluster->describe_groups({group}, soon()).at(0).value();
    EXPECT_EQ(described.phase, GroupPhase::stable);
    EXPECT_EQ(described.coordinator, 1);
    ASSERT_EQ(described.members.size(), 1U);
    EXPECT_EQ(described.members[0].client_id, "reader");
    EXPECT_EQ(described.members[0].host, "127.0.0.1");
    using Assigned = std::vector<std::pair<std::string, std::int32_t>>;
    EXPECT_EQ(described.members[0].assigned, (Assigned{{topic, 0}, {topic, 1}}));

    const auto offsets = [&] {
        const auto committed = cluster->committed({group}, soon()).at(0).value();
        return committed.size() == 1 ? committed[0].offset : -1;
    };
    EXPECT_EQ(offsets(), 4);
    (void)cluster->topic_configs({topic, own_name("missing")}, soon());
    (void)cluster->offsets({{own_name("missing"), 0, 1}}, Edge::last_stable, soon());
    (void)cluster->offsets({{own_name("missing"), 0, 1}}, Edge::high, soon());
    EXPECT_EQ(offsets(), 4);
    // Other tests make topics and groups of their own meanwhile: none of theirs is named like ours.
    for (const auto& name : topic_names(cluster->describe(soon()).value()))
        EXPECT_EQ(name.find("missing-"), std::string::npos) << name;
    EXPECT_NE(before.find(topic), nullptr);
    const auto after = cluster->groups(soon()).value();
    for (const auto& each : after.groups)
        EXPECT_EQ(each.name.find("txstream"), std::string::npos) << each.name;
    EXPECT_EQ(cluster->describe_groups({group}, soon()).at(0).value().members.size(), 1U);
}

TEST(ClusterTest, WhatTheDevelopmentBrokerCannotDoIsSaidAsThatAndTheRestWorks) {
    const auto broker = DevBroker::start().value();
    ASSERT_TRUE(broker->create_topic("t", 4));
    const auto cluster = open(broker->bootstrap());
    const auto state = cluster->describe(soon()).value();
    const auto places = places_of(*cluster, "t");
    EXPECT_EQ(
        numbers(cluster->offsets(places, Edge::last_stable, soon())),
        (std::vector<std::int64_t>{0, 0, 0, 0})
    );
    const auto groups = cluster->groups(soon());
    ASSERT_FALSE(groups);
    EXPECT_EQ(gap_of(groups.error()), Gap::unsupported) << groups.error().what();
    const auto configs = cluster->topic_configs({"t"}, soon());
    EXPECT_EQ(gap_of(configs.at(0).error()), Gap::unsupported) << configs.at(0).error().what();
    const auto brokers = cluster->broker_configs(state.brokers, soon());
    EXPECT_EQ(gap_of(brokers.at(0).config.error()), Gap::unsupported);
}

TEST(ClusterTest, ABrokerOfThreeThatIsAwayCostsItsOwnPartitionsAndNoOthers) {
    const auto host = make_client(RD_KAFKA_PRODUCER, {});
    using Mock =
        std::unique_ptr<rd_kafka_mock_cluster_t, detail::Destroy<rd_kafka_mock_cluster_destroy>>;
    const Mock three(rd_kafka_mock_cluster_new(host.get(), 3));
    ASSERT_EQ(rd_kafka_mock_topic_create(three.get(), "t", 6, 1), RD_KAFKA_RESP_ERR_NO_ERROR);
    for (int i = 0; i < 6; ++i) rd_kafka_mock_partition_set_leader(three.get(), "t", i, i % 3 + 1);
    rd_kafka_mock_broker_set_down(three.get(), 2);
    const auto cluster = open(rd_kafka_mock_cluster_bootstraps(three.get()));
    const auto state = state_with(*cluster, "t");
    ASSERT_EQ(state.brokers.size(), 3U);
    const auto begin = std::chrono::steady_clock::now();
    const auto ends = cluster->offsets(places_of(*cluster, "t"), Edge::last_stable, soon());
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s) << "the deadline is 20 s";
    for (std::size_t i = 0; i < 6; ++i) EXPECT_EQ(ends.at(i).has_value(), i % 3 != 1) << i;
    EXPECT_NE(ends.at(1).error().what().find("t[1]"), std::string::npos);
    const auto answers = cluster->broker_configs(state.brokers, Deadline::in(2s));
    EXPECT_EQ(gap_of(answers.at(0).config.error()), Gap::unsupported) << "it has answered";
    EXPECT_EQ(answers.at(1).config.error().code(), Code::unavailable)
        << answers.at(1).config.error().what();
    EXPECT_EQ(gap_of(answers.at(2).config.error()), Gap::unsupported);
}

TEST(ClusterTest, AnOutageIsSaidSoonAndAfterItTheSameClientAnswersAgain) {
    const auto broker = DevBroker::start().value();
    ASSERT_TRUE(broker->create_topic("t", 1));
    const auto cluster = open(broker->bootstrap());
    const auto places = places_of(*cluster, "t");
    ASSERT_TRUE(cluster->offsets(places, Edge::last_stable, soon()).at(0));
    broker->set_up(false);
    const auto begin = std::chrono::steady_clock::now();
    // The outage is noticed by the first question whose connection is gone.
    const auto offsets = cluster->offsets(places, Edge::last_stable, soon());
    const auto state = cluster->describe(soon());
    EXPECT_FALSE(offsets.at(0));
    ASSERT_FALSE(state);
    EXPECT_EQ(state.error().code(), Code::unavailable) << state.error().what();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s) << "their deadlines are 20 s";
    broker->set_up(true);
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!cluster->describe(soon()) && std::chrono::steady_clock::now() < end) {
    }
    EXPECT_TRUE(cluster->describe(soon()));
    EXPECT_TRUE(cluster->offsets(places, Edge::last_stable, soon()).at(0));
}

TEST(ClusterTest, ABrokerThatIsAwayIsNamedWithinTheDeadline) {
    const auto begin = std::chrono::steady_clock::now();
    const auto cluster = open("127.0.0.1:1");
    const auto state = cluster->describe(Deadline::in(1s));
    ASSERT_FALSE(state);
    EXPECT_EQ(state.error().origin(), "connection_refused") << state.error().what();
    const auto groups = cluster->groups(Deadline::in(1s));
    EXPECT_EQ(groups.error().origin(), "connection_refused") << groups.error().what();
    const auto offsets = cluster->offsets({{"t", 0, 1}}, Edge::last_stable, Deadline::in(1s));
    EXPECT_FALSE(offsets.at(0));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 6s);
}

}  // namespace
}  // namespace txstream::kafka
