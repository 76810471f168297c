#pragma once

#include "kafka/detail/handles.hpp"
#include "kafka/record.hpp"

#include <cstdlib>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace txstream::kafka::test {

inline std::string real_broker() {
    const char* address = std::getenv("TXSTREAM_TEST_KAFKA");
    if (address == nullptr)
        throw std::runtime_error("TXSTREAM_TEST_KAFKA is not set; run the tests with `make test`");
    return address;
}

inline std::string own_topic() {
    return "test-" + std::to_string(std::random_device{}()) +
           std::to_string(std::random_device{}());
}

/// Writes records as they are given, also what our own producer never writes: no key, no value,
/// headers without a value, aborted transactions.
class RawWriter {
public:
    explicit RawWriter(Properties properties, const std::string& transactional_id = {}) {
        if (!transactional_id.empty())
            properties.emplace_back("transactional.id", transactional_id);
        properties.emplace_back("acks", "all");
        properties.emplace_back("linger.ms", "5");
        client_ =
            detail::make_client(RD_KAFKA_PRODUCER, detail::make_conf(properties, &log_).value())
                .value();
        if (!transactional_id.empty()) check(rd_kafka_init_transactions(client_.get(), 20'000));
    }

    void write(const std::string& topic, const FetchedRecord& record) {
        rd_kafka_headers_t* headers = rd_kafka_headers_new(record.headers.size());
        for (const auto& [name, value] : record.headers)
            rd_kafka_header_add(
                headers,
                name.data(),
                static_cast<ssize_t>(name.size()),
                value ? value->data() : nullptr,
                value ? static_cast<ssize_t>(value->size()) : 0
            );
        const auto bytes = [](const std::optional<std::string>& text) {
            return text ? std::pair(const_cast<char*>(text->data()), text->size())
                        : std::pair(static_cast<char*>(nullptr), std::size_t{0});
        };
        const auto [key, key_size] = bytes(record.key);
        const auto [value, value_size] = bytes(record.value);
        while (true) {
            rd_kafka_vu_t parts[7]{};
            parts[0].vtype = RD_KAFKA_VTYPE_TOPIC;
            parts[0].u.cstr = topic.c_str();
            parts[1].vtype = RD_KAFKA_VTYPE_PARTITION;
            parts[1].u.i32 = record.partition;
            parts[2].vtype = RD_KAFKA_VTYPE_KEY;
            parts[2].u.mem = {key, key_size};
            parts[3].vtype = RD_KAFKA_VTYPE_VALUE;
            parts[3].u.mem = {value, value_size};
            parts[4].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
            parts[4].u.i64 = record.timestamp_ms > 0 ? record.timestamp_ms : 0;
            parts[5].vtype = RD_KAFKA_VTYPE_HEADERS;
            parts[5].u.headers = headers;
            parts[6].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
            parts[6].u.i = RD_KAFKA_MSG_F_COPY;
            auto* refused = rd_kafka_produceva(client_.get(), parts, 7);
            const auto error =
                refused == nullptr ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_error_code(refused);
            if (refused != nullptr) rd_kafka_error_destroy(refused);
            if (error == RD_KAFKA_RESP_ERR_NO_ERROR) break;
            if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL)
                throw std::runtime_error(rd_kafka_err2str(error));
            rd_kafka_poll(client_.get(), 50);
        }
        rd_kafka_poll(client_.get(), 0);
    }

    void flush() {
        if (rd_kafka_flush(client_.get(), 20'000) != RD_KAFKA_RESP_ERR_NO_ERROR)
            throw std::runtime_error("the records were not written in time");
    }
    void begin() { check(rd_kafka_begin_transaction(client_.get())); }
    void commit() { check(rd_kafka_commit_transaction(client_.get(), 20'000)); }
    void abort() { check(rd_kafka_abort_transaction(client_.get(), 20'000)); }

private:
    static void check(rd_kafka_error_t* error) {
        if (error == nullptr) return;
        const std::string text = rd_kafka_error_string(error);
        rd_kafka_error_destroy(error);
        throw std::runtime_error(text);
    }

    LogCallback log_;
    detail::Client client_;
};

}  // namespace txstream::kafka::test
