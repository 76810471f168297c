// The speed of light for a relay: a loop that sends records which are in memory already.
//
//   txs_bare_producer BROKERS FROM_TOPIC TO_TOPIC RECORDS [NAME=VALUE]...
//
// Reads the records that the relay wrote to FROM_TOPIC, so that bytes, keys and headers are the
// same, and sends them to TO_TOPIC with the relay's own settings of librdkafka, given as
// NAME=VALUE. Prints the seconds from the first record to the last acknowledgement, this process's
// processor time in them, and the bytes of keys, values and headers.

#include "bench/rdkafka.hpp"

#include <array>
#include <chrono>
#include <cstring>
#include <ctime>
#include <deque>

namespace {

using namespace txstream::bench;
using Clock = std::chrono::steady_clock;

struct Record {
    std::string key;
    std::string value;
    std::vector<std::pair<std::string, std::string>> headers;
    std::int64_t timestamp;
};

std::size_t acknowledged = 0;

void on_report(rd_kafka_t*, const rd_kafka_message_t* message, void*) {
    if (message->err) die(rd_kafka_err2str(message->err));
    ++acknowledged;
}

Record record_of(const rd_kafka_message_t& message) {
    Record record{
        {static_cast<const char*>(message.key), message.key_len},
        {static_cast<const char*>(message.payload), message.len},
        {},
        rd_kafka_message_timestamp(&message, nullptr)
    };
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char* name = nullptr;
        const void* value = nullptr;
        std::size_t size = 0;
        for (std::size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &size); ++i)
            record.headers.emplace_back(name, std::string(static_cast<const char*>(value), size));
    }
    return record;
}

// Partition by partition in turn, as far as it is known: a relay mixes its keys too.
std::vector<Record> read(const std::string& brokers, const std::string& topic, std::size_t count) {
    std::vector<std::deque<Record>> partitions;
    auto consumer = consume_all(brokers, topic);
    for (std::size_t found = 0; found < count;) {
        auto* message = rd_kafka_consumer_poll(consumer.get(), 30'000);
        if (!message) die("only " + std::to_string(found) + " records in " + topic);
        if (!message->err) {
            const auto partition = static_cast<std::size_t>(message->partition);
            if (partition >= partitions.size()) partitions.resize(partition + 1);
            partitions[partition].push_back(record_of(*message));
            ++found;
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consumer_close(consumer.get());
    std::vector<Record> records;
    records.reserve(count);
    while (records.size() < count) {
        for (auto& partition : partitions) {
            if (partition.empty()) continue;
            records.push_back(std::move(partition.front()));
            partition.pop_front();
        }
    }
    return records;
}

void send(rd_kafka_t* producer, rd_kafka_topic_t* topic, const Record& record) {
    auto* headers = rd_kafka_headers_new(record.headers.size());
    for (const auto& [name, value] : record.headers) {
        rd_kafka_header_add(
            headers,
            name.c_str(),
            static_cast<ssize_t>(name.size()),
            value.data(),
            static_cast<ssize_t>(value.size())
        );
    }
    std::array<rd_kafka_vu_t, 6> all{};
    all[0].vtype = RD_KAFKA_VTYPE_RKT;
    all[0].u.rkt = topic;
    all[1].vtype = RD_KAFKA_VTYPE_KEY;
    all[1].u.mem = {const_cast<char*>(record.key.data()), record.key.size()};
    all[2].vtype = RD_KAFKA_VTYPE_VALUE;
    all[2].u.mem = {const_cast<char*>(record.value.data()), record.value.size()};
    all[3].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
    all[3].u.i64 = record.timestamp;
    all[4].vtype = RD_KAFKA_VTYPE_HEADERS;
    all[4].u.headers = headers;
    all[5].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    all[5].u.i = 0;  // nothing is copied
    while (auto* error = rd_kafka_produceva(producer, all.data(), all.size())) {
        if (rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            die(rd_kafka_error_string(error));
        rd_kafka_error_destroy(error);
        rd_kafka_poll(producer, 10);
    }
}

std::size_t bytes_of(const std::vector<Record>& records) {
    std::size_t bytes = 0;
    for (const auto& record : records) {
        bytes += record.key.size() + record.value.size();
        for (const auto& [name, value] : record.headers) bytes += name.size() + value.size();
    }
    return bytes;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 5)
        die("usage: txs_bare_producer BROKERS FROM_TOPIC TO_TOPIC RECORDS [NAME=VALUE]...");
    const std::string brokers = argv[1];
    const auto records = read(brokers, argv[2], std::strtoull(argv[4], nullptr, 10));
    Properties properties{{"bootstrap.servers", brokers}, {"log_level", "3"}};
    for (int i = 5; i < argc; ++i) {
        const char* equals = std::strchr(argv[i], '=');
        if (!equals) die(std::string(argv[i]) + " is not NAME=VALUE");
        properties.emplace_back(
            std::string(argv[i], static_cast<std::size_t>(equals - argv[i])), equals + 1
        );
    }
    auto producer = make_client(RD_KAFKA_PRODUCER, properties, on_report);
    auto* topic = rd_kafka_topic_new(producer.get(), argv[3], nullptr);
    const auto started = Clock::now();
    const auto before = std::clock();
    for (std::size_t i = 0; i < records.size(); ++i) {
        send(producer.get(), topic, records[i]);
        if (i % 1000 == 0) rd_kafka_poll(producer.get(), 0);
    }
    while (acknowledged < records.size()) rd_kafka_poll(producer.get(), 100);
    const std::chrono::duration<double> took = Clock::now() - started;
    const auto used = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
    rd_kafka_topic_destroy(topic);
    std::printf(
        "{\"seconds\": %.6f, \"cpu_seconds\": %.6f, \"bytes\": %zu}\n",
        took.count(),
        used,
        bytes_of(records)
    );
}
