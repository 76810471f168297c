// Fills a broker for `bench/run console-kafka`: topics, records in some of them, groups with
// committed offsets. txs_console_kafka_fill BOOTSTRAP TOPICS PARTITIONS GROUPS
#include <librdkafka/rdkafka.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr int kTimeoutMs = 120'000;
constexpr int kTopicsInOneRequest = 50;
constexpr int kGroupsInFlight = 100;
constexpr int kTopicsOfAGroup = 2;
constexpr int kTopicsWithRecords = 20;
constexpr int kRecords = 1000;

[[noreturn]] void die(const std::string& why) {
    std::fprintf(stderr, "txs_console_kafka_fill: %s\n", why.c_str());
    std::exit(1);
}

std::string topic_name(int i) {
    char name[32];
    std::snprintf(name, sizeof name, "scale.topic-%05d", i);
    return name;
}

std::string group_name(int i) {
    char name[32];
    std::snprintf(name, sizeof name, "scale-group-%05d", i);
    return name;
}

rd_kafka_t* make_client(const char* bootstrap) {
    char reason[512];
    auto* conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, reason, sizeof reason) !=
        RD_KAFKA_CONF_OK)
        die(reason);
    auto* client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    if (client == nullptr) die(reason);
    return client;
}

rd_kafka_event_t* next(rd_kafka_queue_t* queue, std::string_view what) {
    auto* event = rd_kafka_queue_poll(queue, kTimeoutMs);
    if (event == nullptr) die(std::string(what) + ": no answer");
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
        die(std::string(what) + ": " + rd_kafka_event_error_string(event));
    return event;
}

void make_topics(rd_kafka_t* client, rd_kafka_queue_t* queue, int topics, int partitions) {
    char reason[512];
    auto* options = rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_request_timeout(options, kTimeoutMs, reason, sizeof reason);
    rd_kafka_AdminOptions_set_operation_timeout(options, kTimeoutMs, reason, sizeof reason);
    for (int from = 0; from < topics; from += kTopicsInOneRequest) {
        std::vector<rd_kafka_NewTopic_t*> wanted;
        for (int i = from; i < from + kTopicsInOneRequest && i < topics; ++i) {
            wanted.push_back(
                rd_kafka_NewTopic_new(topic_name(i).c_str(), partitions, 1, reason, sizeof reason)
            );
        }
        rd_kafka_CreateTopics(client, wanted.data(), wanted.size(), options, queue);
        rd_kafka_event_destroy(next(queue, "create topics"));
        rd_kafka_NewTopic_destroy_array(wanted.data(), wanted.size());
    }
    rd_kafka_AdminOptions_destroy(options);
}

void produce(rd_kafka_t* client, int topics) {
    for (int i = 0; i < kTopicsWithRecords && i < topics; ++i) {
        auto* handle = rd_kafka_topic_new(client, topic_name(i).c_str(), nullptr);
        for (int n = 0; n < kRecords; ++n) {
            char value[] = "{\"n\":1}";
            if (rd_kafka_produce(
                    handle,
                    RD_KAFKA_PARTITION_UA,
                    RD_KAFKA_MSG_F_COPY,
                    value,
                    sizeof value - 1,
                    nullptr,
                    0,
                    nullptr
                ) != 0)
                die(rd_kafka_err2str(rd_kafka_last_error()));
        }
        rd_kafka_topic_destroy(handle);
    }
    if (rd_kafka_flush(client, kTimeoutMs) != RD_KAFKA_RESP_ERR_NO_ERROR)
        die("records were not acknowledged in time");
}

void commit(rd_kafka_t* client, rd_kafka_queue_t* queue, int topics, int partitions, int groups) {
    char reason[512];
    auto* options = rd_kafka_AdminOptions_new(client, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS);
    rd_kafka_AdminOptions_set_request_timeout(options, kTimeoutMs, reason, sizeof reason);
    int in_flight = 0;
    for (int i = 0; i < groups; ++i) {
        auto* list = rd_kafka_topic_partition_list_new(0);
        for (int t = 0; t < kTopicsOfAGroup; ++t) {
            const auto topic = topic_name((i * kTopicsOfAGroup + t) % topics);
            for (int p = 0; p < partitions; ++p)
                rd_kafka_topic_partition_list_add(list, topic.c_str(), p)->offset = i % 10;
        }
        auto* wanted = rd_kafka_AlterConsumerGroupOffsets_new(group_name(i).c_str(), list);
        rd_kafka_AlterConsumerGroupOffsets(client, &wanted, 1, options, queue);
        rd_kafka_AlterConsumerGroupOffsets_destroy(wanted);
        rd_kafka_topic_partition_list_destroy(list);
        if (++in_flight < kGroupsInFlight) continue;
        rd_kafka_event_destroy(next(queue, "commit offsets"));
        --in_flight;
    }
    for (; in_flight > 0; --in_flight) rd_kafka_event_destroy(next(queue, "commit offsets"));
    rd_kafka_AdminOptions_destroy(options);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 5) die("usage: txs_console_kafka_fill BOOTSTRAP TOPICS PARTITIONS GROUPS");
    const int topics = std::atoi(argv[2]);
    const int partitions = std::atoi(argv[3]);
    const int groups = std::atoi(argv[4]);
    auto* client = make_client(argv[1]);
    auto* queue = rd_kafka_queue_new(client);
    make_topics(client, queue, topics, partitions);
    produce(client, topics);
    commit(client, queue, topics, partitions, groups);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    std::printf(
        "{\"topics\": %d, \"partitions\": %d, \"groups\": %d}\n",
        topics,
        topics * partitions,
        groups
    );
    return 0;
}
