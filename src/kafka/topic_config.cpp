#include "kafka/topic_config.hpp"

#include "kafka/detail/describe_topics.hpp"
#include "kafka/detail/handles.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <string_view>

namespace txstream::kafka {

namespace {

using detail::Destroy;
using Resource =
    std::unique_ptr<rd_kafka_ConfigResource_t, Destroy<rd_kafka_ConfigResource_destroy>>;
using Options = std::unique_ptr<rd_kafka_AdminOptions_t, Destroy<rd_kafka_AdminOptions_destroy>>;

// Kafka writes "no limit" as -1 or as the largest of 64 bits. A hundred years are none, either, and
// can be added to any time.
constexpr std::int64_t kUnlimitedMs = 100LL * 365 * 24 * 3600 * 1000;

std::int64_t number(std::string_view text, std::int64_t missing) {
    std::int64_t value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() ? value : missing;
}

int milliseconds_left(Deadline deadline) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline.left()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 1, 60'000));
}

ConfigEntries entries_of(const rd_kafka_ConfigResource_t* resource) {
    ConfigEntries entries;
    std::size_t count = 0;
    const auto** configs = rd_kafka_ConfigResource_configs(resource, &count);
    for (std::size_t i = 0; i < count; ++i) {
        const char* value = rd_kafka_ConfigEntry_value(configs[i]);
        if (value != nullptr) entries.emplace_back(rd_kafka_ConfigEntry_name(configs[i]), value);
    }
    return entries;
}

Result<detail::Event> ask(
    rd_kafka_t* client,
    detail::Queue& queue,
    const std::vector<std::string>& topics,
    Deadline deadline
) {
    std::vector<Resource> resources;
    std::vector<rd_kafka_ConfigResource_t*> list;
    for (const auto& topic : topics) {
        resources.emplace_back(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
        list.push_back(resources.back().get());
    }
    Options options(rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS));
    char reason[128];
    rd_kafka_AdminOptions_set_request_timeout(
        options.get(), milliseconds_left(deadline), reason, sizeof reason
    );
    rd_kafka_DescribeConfigs(client, list.data(), list.size(), options.get(), queue.get());
    // librdkafka answers within the request time-out; the margin is for its own scheduling.
    detail::Event event(rd_kafka_queue_poll(queue.get(), milliseconds_left(deadline) + 1000));
    if (!event) return fail(Code::timed_out, "describe topics: no answer");
    if (const auto error = rd_kafka_event_error(event.get()); error != RD_KAFKA_RESP_ERR_NO_ERROR)
        return tl::unexpected<Error>(
            to_error(error, std::string("describe topics: ") + rd_kafka_err2str(error))
        );
    return event;
}

Result<std::vector<Result<TopicConfig>>> describe(
    rd_kafka_t* client, const std::vector<std::string>& topics, Deadline deadline
) {
    detail::Queue queue(rd_kafka_queue_new(client));
    TXS_TRY(const auto event, ask(client, queue, topics, deadline));
    std::size_t count = 0;
    const auto** described = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(event.get()), &count
    );
    std::map<std::string, Result<TopicConfig>, std::less<>> found;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string topic = rd_kafka_ConfigResource_name(described[i]);
        const auto error = rd_kafka_ConfigResource_error(described[i]);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            found.emplace(topic, topic_config(entries_of(described[i])));
        } else {
            found.emplace(
                topic,
                tl::unexpected<Error>(
                    to_error(error, "describe topic " + topic + ": " + rd_kafka_err2str(error))
                )
            );
        }
    }
    std::vector<Result<TopicConfig>> results;
    for (const auto& topic : topics) {
        const auto at = found.find(topic);
        results.push_back(
            at != found.end()
                ? at->second
                : fail(Code::unavailable, "describe topic " + topic + ": not in the answer")
        );
    }
    return results;
}

}  // namespace

TopicConfig topic_config(const ConfigEntries& entries) {
    TopicConfig config;
    std::int64_t age_max = kUnlimitedMs;
    bool is_append_time = false;
    bool is_deleted = true;
    std::int64_t retention = kUnlimitedMs;
    for (const auto& [name, value] : entries) {
        if (name == "max.message.bytes") {
            config.batch_bytes_max =
                static_cast<std::size_t>(std::max<std::int64_t>(number(value, 0), 0));
        } else if (name == "message.timestamp.type") {
            is_append_time = value == "LogAppendTime";
        } else if (name == "message.timestamp.before.max.ms" ||
                   name == "message.timestamp.difference.max.ms") {
            age_max = std::min(age_max, number(value, kUnlimitedMs));
        } else if (name == "retention.ms") {
            retention = number(value, kUnlimitedMs);
        } else if (name == "cleanup.policy") {
            is_deleted = value.find("delete") != std::string::npos;
        }
    }
    if (is_append_time) return config;
    if (is_deleted && retention >= 0) age_max = std::min(age_max, retention);
    if (age_max >= 0 && age_max < kUnlimitedMs)
        config.record_age_max = std::chrono::milliseconds(age_max);
    return config;
}

std::vector<Result<TopicConfig>> detail::describe_topics(
    rd_kafka_t* client, const std::vector<std::string>& topics, Deadline deadline
) {
    auto results = describe(client, topics, deadline);
    if (results) return std::move(*results);
    return {topics.size(), tl::unexpected<Error>(results.error())};
}

std::vector<Result<TopicConfig>> describe_topics(
    const Properties& properties,
    const std::vector<std::string>& topics,
    Deadline deadline,
    LogCallback log
) {
    const auto make = [&]() -> Result<detail::Client> {
        TXS_TRY(auto conf, detail::make_conf(properties, &log));
        return detail::make_client(RD_KAFKA_PRODUCER, std::move(conf));
    };
    auto client = make();
    if (!client) return {topics.size(), tl::unexpected<Error>(client.error())};
    return detail::describe_topics(client->get(), topics, deadline);
}

}  // namespace txstream::kafka
