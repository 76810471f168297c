#pragma once

#include <librdkafka/rdkafka.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/// The little of librdkafka that the benchmarks share. What goes wrong ends the program.
namespace txstream::bench {

struct DestroyClient {
    void operator()(rd_kafka_t* client) const { rd_kafka_destroy(client); }
};
using Client = std::unique_ptr<rd_kafka_t, DestroyClient>;
using Properties = std::vector<std::pair<std::string, std::string>>;

[[noreturn]] inline void die(const std::string& why) {
    std::fprintf(stderr, "%s\n", why.c_str());
    std::exit(1);
}

inline Client make_client(
    rd_kafka_type_t type,
    const Properties& properties,
    void (*on_report)(rd_kafka_t*, const rd_kafka_message_t*, void*) = nullptr
) {
    char error[512];
    auto* conf = rd_kafka_conf_new();
    for (const auto& [name, value] : properties) {
        if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error, sizeof error) !=
            RD_KAFKA_CONF_OK)
            die(error);
    }
    if (on_report) rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    Client client(rd_kafka_new(type, conf, error, sizeof error));
    if (!client) die(error);
    return client;
}

/// A consumer that has joined no group and reads all partitions from their beginning.
inline Client consume_all(const std::string& brokers, const std::string& topic) {
    auto client = make_client(
        RD_KAFKA_CONSUMER,
        {{"bootstrap.servers", brokers},
         {"group.id", "bench"},
         {"enable.auto.commit", "false"},
         {"fetch.wait.max.ms", "10"},
         {"enable.partition.eof", "true"}}
    );
    rd_kafka_poll_set_consumer(client.get());
    auto* handle = rd_kafka_topic_new(client.get(), topic.c_str(), nullptr);
    const struct rd_kafka_metadata* metadata = nullptr;
    if (rd_kafka_metadata(client.get(), 0, handle, &metadata, 10'000) != 0 ||
        metadata->topic_cnt != 1)
        die("no metadata of " + topic);
    auto* all = rd_kafka_topic_partition_list_new(metadata->topics[0].partition_cnt);
    for (int i = 0; i < metadata->topics[0].partition_cnt; ++i)
        rd_kafka_topic_partition_list_add(all, topic.c_str(), i)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    if (const auto error = rd_kafka_assign(client.get(), all)) die(rd_kafka_err2str(error));
    rd_kafka_topic_partition_list_destroy(all);
    rd_kafka_metadata_destroy(metadata);
    rd_kafka_topic_destroy(handle);
    return client;
}

}  // namespace txstream::bench
