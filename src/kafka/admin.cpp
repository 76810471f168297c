#include "kafka/admin.hpp"

#include "kafka/detail/describe_topics.hpp"
#include "kafka/detail/handles.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <utility>

namespace txstream::kafka {

namespace {

using detail::Destroy;
using Metadata = std::unique_ptr<const rd_kafka_metadata_t, Destroy<rd_kafka_metadata_destroy>>;
using NewTopic = std::unique_ptr<rd_kafka_NewTopic_t, Destroy<rd_kafka_NewTopic_destroy>>;
using Options = std::unique_ptr<rd_kafka_AdminOptions_t, Destroy<rd_kafka_AdminOptions_destroy>>;

int milliseconds_left(Deadline deadline) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline.left()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 1, 60'000));
}

/// Partitions of the topic, 0 when it does not exist.
Result<int> partitions_of(rd_kafka_t* client, const std::string& topic, Deadline deadline) {
    detail::Topic handle(rd_kafka_topic_new(client, topic.c_str(), nullptr));
    const rd_kafka_metadata_t* raw = nullptr;
    const auto error =
        rd_kafka_metadata(client, 0, handle.get(), &raw, milliseconds_left(deadline));
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return tl::unexpected<Error>(
            to_error(error, std::string("no metadata: ") + rd_kafka_err2str(error))
        );
    }
    Metadata metadata(raw);
    if (metadata->topic_cnt != 1) return 0;
    const auto& found = metadata->topics[0];
    if (found.err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
        return tl::unexpected<Error>(to_error(found.err, "not authorised for topic " + topic));
    }
    return found.err == RD_KAFKA_RESP_ERR_NO_ERROR ? found.partition_cnt : 0;
}

/// "Broker transport failure", "timed out": where the client's connections say more, what they say.
tl::unexpected<Error> because(rd_kafka_t* client, Error error) {
    if (!error.retryable()) return tl::unexpected<Error>(std::move(error));
    detail::Queue queue(rd_kafka_queue_get_main(client));
    detail::Connections connections;
    while (const detail::Event event{rd_kafka_queue_poll(queue.get(), 0)}) {
        const auto code = rd_kafka_event_error(event.get());
        if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_ERROR &&
            code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
            (void)connections.failed(code, rd_kafka_event_error_string(event.get()));
    }
    if (connections.trouble()) return tl::unexpected<Error>(*connections.trouble());
    // No connection has failed yet, and none was good enough to ask by: nobody answers there.
    if (error.code() == Code::timed_out || error.origin() == name_of(RD_KAFKA_RESP_ERR__TRANSPORT))
        error = connection_error(RD_KAFKA_RESP_ERR__TIMED_OUT, error.what());
    return tl::unexpected<Error>(std::move(error));
}

Options options_for(rd_kafka_t* client, rd_kafka_admin_op_t operation, Deadline deadline) {
    Options options(rd_kafka_AdminOptions_new(client, operation));
    char reason[128];
    rd_kafka_AdminOptions_set_request_timeout(
        options.get(), milliseconds_left(deadline), reason, sizeof reason
    );
    return options;
}

Result<> create(
    rd_kafka_t* client, const std::string& topic, int partitions, int replicas, Deadline deadline
) {
    char reason[256];
    NewTopic wanted(
        rd_kafka_NewTopic_new(topic.c_str(), partitions, replicas, reason, sizeof reason)
    );
    if (!wanted) return fail(Code::invalid_input, "topic " + topic + ": " + reason);
    detail::Queue queue(rd_kafka_queue_new(client));
    auto options = options_for(client, RD_KAFKA_ADMIN_OP_CREATETOPICS, deadline);
    auto* list = wanted.get();
    rd_kafka_CreateTopics(client, &list, 1, options.get(), queue.get());
    // librdkafka answers within the request time-out set above; the margin is for its own
    // scheduling.
    detail::Event event(rd_kafka_queue_poll(queue.get(), milliseconds_left(deadline) + 1000));
    if (!event) return fail(Code::timed_out, "create topic " + topic + ": no answer");
    if (const auto error = rd_kafka_event_error(event.get()); error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return tl::unexpected<Error>(
            to_error(error, "create topic " + topic + ": " + rd_kafka_err2str(error))
        );
    }
    const auto* result = rd_kafka_event_CreateTopics_result(event.get());
    std::size_t count = 0;
    const auto** topics = rd_kafka_CreateTopics_result_topics(result, &count);
    const auto error =
        count == 1 ? rd_kafka_topic_result_error(topics[0]) : RD_KAFKA_RESP_ERR_UNKNOWN;
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
        return {};
    return tl::unexpected<Error>(
        to_error(error, "create topic " + topic + ": " + rd_kafka_err2str(error))
    );
}

}  // namespace

Result<TopicFacts> ensure_topic(
    const Properties& properties,
    const std::string& topic,
    int partitions,
    int replication_factor,
    Deadline deadline,
    LogCallback log
) {
    Properties ours = properties;
    // An admin client must not create the topic by asking for it: the broker's defaults would win
    // over ours.
    ours.emplace_back("allow.auto.create.topics", "false");
    // A new client for each try would log each broken connection anew; the error says why.
    if (std::ranges::find(ours, "debug", &Properties::value_type::first) == ours.end())
        ours.emplace_back("log_level", "2");
    TXS_TRY(auto conf, detail::make_conf(ours, &log));
    rd_kafka_conf_set_events(conf.get(), RD_KAFKA_EVENT_ERROR);
    TXS_TRY(auto client, detail::make_client(RD_KAFKA_PRODUCER, std::move(conf)));
    TopicFacts facts;
    auto found = partitions_of(client.get(), topic, deadline);
    if (!found) return because(client.get(), std::move(found).error());
    facts.partitions = *found;
    if (facts.partitions == 0) {
        auto created = create(client.get(), topic, partitions, replication_factor, deadline);
        if (!created && created.error().retryable())
            return because(client.get(), std::move(created).error());
        if (!created) {
            return fail(
                Code::rejected,
                created.error().what() + "; create it by hand: kafka-topics.sh --create --topic " +
                    topic + " --partitions " + std::to_string(partitions),
                created.error().origin()
            );
        }
        facts.partitions = partitions;
        facts.created = true;
    }
    auto described = detail::describe_topics(client.get(), {topic}, deadline);
    if (described.front()) facts.config = *described.front();
    return facts;
}

}  // namespace txstream::kafka
