// The part of Cluster that speaks librdkafka's admin interface.
#include "kafka/cluster.hpp"
#include "kafka/detail/cluster_impl.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <utility>

namespace txstream::kafka {

namespace {

using detail::Destroy;
using detail::Pipeline;
using Resource =
    std::unique_ptr<rd_kafka_ConfigResource_t, Destroy<rd_kafka_ConfigResource_destroy>>;
using Items = std::vector<ConfigItem>;
using Committed = std::vector<CommittedOffset>;

ConfigSource source_of(rd_kafka_ConfigSource_t source) {
    switch (source) {
        case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG:
            return ConfigSource::topic;
        case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_BROKER_CONFIG:
            return ConfigSource::broker;
        case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER_CONFIG:
            return ConfigSource::broker_default;
        case RD_KAFKA_CONFIG_SOURCE_STATIC_BROKER_CONFIG:
            return ConfigSource::file;
        case RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG:
            return ConfigSource::built_in;
        default:
            return ConfigSource::other;
    }
}

GroupPhase phase_of(rd_kafka_consumer_group_state_t state) {
    switch (state) {
        case RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE:
            return GroupPhase::preparing;
        case RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE:
            return GroupPhase::completing;
        case RD_KAFKA_CONSUMER_GROUP_STATE_STABLE:
            return GroupPhase::stable;
        case RD_KAFKA_CONSUMER_GROUP_STATE_DEAD:
            return GroupPhase::dead;
        case RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY:
            return GroupPhase::empty;
        default:
            return GroupPhase::unknown;
    }
}

std::string text_of(const char* text) {
    return text == nullptr ? std::string() : std::string(text);
}

tl::unexpected<Error> failure(const std::string& what, rd_kafka_resp_err_t code, const char* text) {
    return tl::unexpected<Error>(
        to_error(code, what + ": " + (text != nullptr ? text : rd_kafka_err2str(code)))
    );
}

tl::unexpected<Error> failure(const std::string& what, const rd_kafka_error_t* error) {
    return failure(what, rd_kafka_error_code(error), rd_kafka_error_string(error));
}

/// What each item has until it is answered.
template <class T>
std::vector<Result<T>> unanswered(const std::vector<std::string>& names) {
    std::vector<Result<T>> results;
    for (const auto& name : names)
        results.push_back(fail(Code::timed_out, name + ": no answer in time", "_TIMED_OUT"));
    return results;
}

Items items_of(const rd_kafka_ConfigResource_t* resource) {
    std::size_t count = 0;
    const auto** entries = rd_kafka_ConfigResource_configs(resource, &count);
    Items items;
    items.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto* entry = entries[i];
        ConfigItem item;
        item.name = rd_kafka_ConfigEntry_name(entry);
        item.source = source_of(rd_kafka_ConfigEntry_source(entry));
        item.is_sensitive = rd_kafka_ConfigEntry_is_sensitive(entry) == 1;
        item.is_read_only = rd_kafka_ConfigEntry_is_read_only(entry) == 1;
        const char* value = rd_kafka_ConfigEntry_value(entry);
        if (value != nullptr && !item.is_sensitive) item.value = value;
        items.push_back(std::move(item));
    }
    std::ranges::sort(items, {}, &ConfigItem::name);
    return items;
}

/// Of each resource in the answer: its name and what it has.
std::map<std::string, Result<Items>> items_by_resource(rd_kafka_event_t* answer) {
    std::size_t count = 0;
    const auto** resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(answer), &count
    );
    std::map<std::string, Result<Items>> found;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string name = rd_kafka_ConfigResource_name(resources[i]);
        const auto error = rd_kafka_ConfigResource_error(resources[i]);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            found.emplace(name, items_of(resources[i]));
        } else {
            found.emplace(name, failure("configuration of " + name, error, nullptr));
        }
    }
    return found;
}

MemberState member_of(const rd_kafka_MemberDescription_t* found) {
    MemberState member;
    member.id = text_of(rd_kafka_MemberDescription_consumer_id(found));
    member.client_id = text_of(rd_kafka_MemberDescription_client_id(found));
    member.instance_id = text_of(rd_kafka_MemberDescription_group_instance_id(found));
    member.host = text_of(rd_kafka_MemberDescription_host(found));
    // Kafka's own text for an address: "/10.0.0.7".
    if (member.host.starts_with('/')) member.host.erase(0, 1);
    const auto* assignment = rd_kafka_MemberDescription_assignment(found);
    const auto* partitions =
        assignment == nullptr ? nullptr : rd_kafka_MemberAssignment_partitions(assignment);
    for (int i = 0; partitions != nullptr && i < partitions->cnt; ++i)
        member.assigned.emplace_back(partitions->elems[i].topic, partitions->elems[i].partition);
    std::ranges::sort(member.assigned);
    return member;
}

Result<GroupState> group_of(const std::string& name, rd_kafka_event_t* answer) {
    std::size_t count = 0;
    const auto** groups = rd_kafka_DescribeConsumerGroups_result_groups(
        rd_kafka_event_DescribeConsumerGroups_result(answer), &count
    );
    if (count != 1) return fail(Code::unavailable, "group " + name + ": not in the answer");
    const auto* found = groups[0];
    if (const auto* error = rd_kafka_ConsumerGroupDescription_error(found);
        error != nullptr && rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return failure("group " + name, error);
    GroupState group;
    group.phase = phase_of(rd_kafka_ConsumerGroupDescription_state(found));
    group.assignor = text_of(rd_kafka_ConsumerGroupDescription_partition_assignor(found));
    if (const auto* node = rd_kafka_ConsumerGroupDescription_coordinator(found))
        group.coordinator = rd_kafka_Node_id(node);
    for (std::size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(found); ++i)
        group.members.push_back(member_of(rd_kafka_ConsumerGroupDescription_member(found, i)));
    std::ranges::sort(group.members, {}, &MemberState::id);
    return group;
}

Result<Committed> committed_of(const std::string& name, rd_kafka_event_t* answer) {
    std::size_t count = 0;
    const auto** groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
        rd_kafka_event_ListConsumerGroupOffsets_result(answer), &count
    );
    if (count != 1) return fail(Code::unavailable, "offsets of " + name + ": not in the answer");
    if (const auto* error = rd_kafka_group_result_error(groups[0]);
        error != nullptr && rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return failure("offsets of " + name, error);
    const auto* partitions = rd_kafka_group_result_partitions(groups[0]);
    Committed committed;
    for (int i = 0; partitions != nullptr && i < partitions->cnt; ++i) {
        const auto& found = partitions->elems[i];
        if (found.err != RD_KAFKA_RESP_ERR_NO_ERROR || found.offset < 0) continue;
        committed.push_back(
            {.topic = found.topic,
             .partition = found.partition,
             .offset = found.offset,
             .metadata = std::string(static_cast<const char*>(found.metadata), found.metadata_size)}
        );
    }
    std::ranges::sort(committed, [](const auto& a, const auto& b) {
        return std::tie(a.topic, a.partition) < std::tie(b.topic, b.partition);
    });
    return committed;
}

}  // namespace

#if RD_KAFKA_VERSION >= 0x020300ff
std::vector<Result<std::optional<std::int64_t>>> Cluster::newest_times(
    const std::vector<Place>& places, Deadline deadline
) {
    std::vector<std::string> names;
    std::map<std::pair<std::string, std::int32_t>, std::size_t> index;
    for (const auto& place : places) {
        index.emplace(std::pair(place.topic, place.partition), names.size());
        names.push_back(place.topic + "[" + std::to_string(place.partition) + "]");
    }
    auto results = unanswered<std::optional<std::int64_t>>(names);
    const auto batch_max = impl_->limits().partitions_in_one_request;
    const Pipeline pipeline(impl_->client(), RD_KAFKA_ADMIN_OP_LISTOFFSETS, 1);
    pipeline.run(
        (places.size() + batch_max - 1) / batch_max,
        deadline,
        [&](std::size_t batch, const auto* options, auto* queue) {
            const detail::Partitions list(rd_kafka_topic_partition_list_new(0));
            const auto end = std::min((batch + 1) * batch_max, places.size());
            for (auto i = batch * batch_max; i < end; ++i) {
                rd_kafka_topic_partition_list_add(
                    list.get(), places[i].topic.c_str(), places[i].partition
                )
                    ->offset = RD_KAFKA_OFFSET_SPEC_MAX_TIMESTAMP;
            }
            rd_kafka_ListOffsets(impl_->client(), list.get(), options, queue);
        },
        [&](std::size_t batch, auto* answer) {
            if (const auto error = rd_kafka_event_error(answer)) {
                const auto end = std::min((batch + 1) * batch_max, places.size());
                for (auto i = batch * batch_max; i < end; ++i)
                    results[i] = failure(names[i], error, rd_kafka_event_error_string(answer));
                return;
            }
            std::size_t count = 0;
            const auto** infos = rd_kafka_ListOffsets_result_infos(
                rd_kafka_event_ListOffsets_result(answer), &count
            );
            for (std::size_t n = 0; n < count; ++n) {
                const auto* found = rd_kafka_ListOffsetsResultInfo_topic_partition(infos[n]);
                const auto at = index.find(std::pair(std::string(found->topic), found->partition));
                if (at == index.end()) continue;
                const auto time = rd_kafka_ListOffsetsResultInfo_timestamp(infos[n]);
                if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
                    results[at->second] = failure(names[at->second], found->err, nullptr);
                } else {
                    results[at->second] = time < 0 ? std::optional<std::int64_t>() : time;
                }
            }
        }
    );
    return results;
}
#else
std::vector<Result<std::optional<std::int64_t>>> Cluster::newest_times(
    const std::vector<Place>& places, Deadline
) {
    const Result<std::optional<std::int64_t>> unsupported = fail(
        Code::rejected, "the time of the newest record needs librdkafka 2.3", "_UNSUPPORTED_FEATURE"
    );
    // Not with braces: a number of partitions would be an answer of its own.
    return std::vector<Result<std::optional<std::int64_t>>>(places.size(), unsupported);
}
#endif

// The development broker names a controller that does not exist. librdkafka would wait for it, or
// (2.0.2, ListGroups) leak a queue when it finds that there is no such request. DescribeConfigs of
// a broker fails at once.
Result<> Cluster::has_admin(Deadline deadline) {
    if (impl_->is_controller_known()) return {};
    TXS_TRY(const auto state, describe(deadline));
    if (impl_->is_controller_known() || state.brokers.empty()) return {};
    const auto probe = broker_configs({state.brokers.front()}, deadline).front().config;
    if (!probe && gap_of(probe.error()) == Gap::unsupported)
        return tl::unexpected<Error>(probe.error());
    return {};
}

std::vector<Result<Items>> Cluster::topic_configs(
    const std::vector<std::string>& topics, Deadline deadline
) {
    auto results = unanswered<Items>(topics);
    if (const auto has = has_admin(deadline); !has)
        return {topics.size(), tl::unexpected<Error>(has.error())};
    const auto batch_max = impl_->limits().topics_in_one_request;
    const auto slice = [&](std::size_t batch) {
        const auto begin = batch * batch_max;
        return std::pair(begin, std::min(begin + batch_max, topics.size()));
    };
    const Pipeline pipeline(impl_->client(), RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, 1);
    pipeline.run(
        (topics.size() + batch_max - 1) / batch_max,
        deadline,
        [&](std::size_t batch, const auto* options, auto* queue) {
            std::vector<Resource> resources;
            std::vector<rd_kafka_ConfigResource_t*> list;
            const auto [begin, end] = slice(batch);
            for (auto i = begin; i < end; ++i) {
                resources.emplace_back(
                    rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topics[i].c_str())
                );
                list.push_back(resources.back().get());
            }
            rd_kafka_DescribeConfigs(impl_->client(), list.data(), list.size(), options, queue);
        },
        [&](std::size_t batch, auto* answer) {
            const auto [begin, end] = slice(batch);
            const auto error = rd_kafka_event_error(answer);
            const auto found = error == RD_KAFKA_RESP_ERR_NO_ERROR
                                   ? items_by_resource(answer)
                                   : std::map<std::string, Result<Items>>();
            for (auto i = begin; i < end; ++i) {
                if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
                    results[i] = failure(
                        "configuration of " + topics[i], error, rd_kafka_event_error_string(answer)
                    );
                } else if (const auto at = found.find(topics[i]); at != found.end()) {
                    results[i] = at->second;
                }
            }
        }
    );
    return results;
}

std::vector<BrokerAnswer> Cluster::broker_configs(
    const std::vector<BrokerState>& brokers, Deadline deadline
) {
    std::vector<std::string> names;
    for (const auto& broker : brokers) names.push_back("broker " + std::to_string(broker.id));
    std::vector<BrokerAnswer> answers;
    for (auto& config : unanswered<Items>(names)) answers.push_back({.config = std::move(config)});
    std::vector<Deadline::Clock::time_point> asked_at(brokers.size());
    const Pipeline pipeline(
        impl_->client(), RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, impl_->limits().brokers_in_flight
    );
    pipeline.run(
        brokers.size(),
        deadline,
        [&](std::size_t i, const auto* options, auto* queue) {
            const Resource resource(rd_kafka_ConfigResource_new(
                RD_KAFKA_RESOURCE_BROKER, std::to_string(brokers[i].id).c_str()
            ));
            auto* list = resource.get();
            asked_at[i] = Deadline::Clock::now();
            rd_kafka_DescribeConfigs(impl_->client(), &list, 1, options, queue);
        },
        [&](std::size_t i, auto* answer) {
            answers[i].took = std::chrono::duration_cast<std::chrono::microseconds>(
                Deadline::Clock::now() - asked_at[i]
            );
            const auto error = rd_kafka_event_error(answer);
            if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
                answers[i].config = failure(names[i], error, rd_kafka_event_error_string(answer));
                return;
            }
            auto found = items_by_resource(answer);
            if (found.size() == 1) answers[i].config = std::move(found.begin()->second);
        }
    );
    for (std::size_t i = 0; i < brokers.size(); ++i) {
        auto& config = answers[i].config;
        // Denied or unsupported is also an answer.
        if (config || gap_of(config.error()) != Gap::failed) {
            impl_->worked(brokers[i].id);
        } else if (auto trouble = impl_->trouble_with(brokers[i].id)) {
            config = tl::unexpected<Error>(std::move(*trouble));
        }
    }
    return answers;
}

Result<GroupList> Cluster::groups(Deadline deadline) {
    TXS_CHECK(has_admin(deadline));
    std::optional<Result<GroupList>> list;
    const Pipeline pipeline(impl_->client(), RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS, 1);
    pipeline.run(
        1,
        deadline,
        [&](std::size_t, const auto* options, auto* queue) {
            rd_kafka_ListConsumerGroups(impl_->client(), options, queue);
        },
        [&](std::size_t, auto* answer) {
            if (const auto error = rd_kafka_event_error(answer)) {
                list = failure("list groups", error, rd_kafka_event_error_string(answer));
                return;
            }
            const auto* result = rd_kafka_event_ListConsumerGroups_result(answer);
            GroupList found;
            std::size_t count = 0;
            const auto** valid = rd_kafka_ListConsumerGroups_result_valid(result, &count);
            found.groups.reserve(count);
            for (std::size_t i = 0; i < count; ++i) {
                found.groups.push_back(
                    {.name = rd_kafka_ConsumerGroupListing_group_id(valid[i]),
                     .phase = phase_of(rd_kafka_ConsumerGroupListing_state(valid[i])),
                     .is_simple =
                         rd_kafka_ConsumerGroupListing_is_simple_consumer_group(valid[i]) == 1}
                );
            }
            std::ranges::sort(found.groups, {}, &GroupListing::name);
            const auto** errors = rd_kafka_ListConsumerGroups_result_errors(result, &count);
            for (std::size_t i = 0; i < count; ++i)
                found.missing.push_back(failure("list groups", errors[i]).value());
            list = std::move(found);
        }
    );
    if (!list) list = fail(Code::timed_out, "list groups: no answer in time", "_TIMED_OUT");
    // No broker answered: that is a failure, not an empty list.
    if (*list && (*list)->groups.empty() && !(*list)->missing.empty())
        list = tl::unexpected<Error>((*list)->missing.front());
    if (!*list) return tl::unexpected<Error>(impl_->because(std::move(*list).error()));
    return std::move(*list);
}

std::vector<Result<GroupState>> Cluster::describe_groups(
    const std::vector<std::string>& groups, Deadline deadline
) {
    auto results = unanswered<GroupState>(groups);
    const Pipeline pipeline(
        impl_->client(), RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, impl_->limits().groups_in_flight
    );
    pipeline.run(
        groups.size(),
        deadline,
        [&](std::size_t i, const auto* options, auto* queue) {
            const char* name = groups[i].c_str();
            rd_kafka_DescribeConsumerGroups(impl_->client(), &name, 1, options, queue);
        },
        [&](std::size_t i, auto* answer) {
            if (const auto error = rd_kafka_event_error(answer)) {
                results[i] =
                    failure("group " + groups[i], error, rd_kafka_event_error_string(answer));
            } else {
                results[i] = group_of(groups[i], answer);
            }
        }
    );
    return results;
}

std::vector<Result<Committed>> Cluster::committed(
    const std::vector<std::string>& groups, Deadline deadline
) {
    auto results = unanswered<Committed>(groups);
    const Pipeline pipeline(
        impl_->client(),
        RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS,
        impl_->limits().groups_in_flight
    );
    pipeline.run(
        groups.size(),
        deadline,
        [&](std::size_t i, const auto* options, auto* queue) {
            auto* wanted = rd_kafka_ListConsumerGroupOffsets_new(groups[i].c_str(), nullptr);
            rd_kafka_ListConsumerGroupOffsets(impl_->client(), &wanted, 1, options, queue);
            rd_kafka_ListConsumerGroupOffsets_destroy(wanted);
        },
        [&](std::size_t i, auto* answer) {
            if (const auto error = rd_kafka_event_error(answer)) {
                results[i] =
                    failure("offsets of " + groups[i], error, rd_kafka_event_error_string(answer));
            } else {
                results[i] = committed_of(groups[i], answer);
            }
        }
    );
    return results;
}

}  // namespace txstream::kafka
