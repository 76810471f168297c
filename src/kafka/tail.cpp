#include "kafka/tail.hpp"

#include "kafka/detail/handles.hpp"
#include "kafka/kafka_error.hpp"

#include <utility>

namespace txstream::kafka {

namespace {

using Message = std::unique_ptr<rd_kafka_message_t, detail::Destroy<rd_kafka_message_destroy>>;
using Partitions = std::unique_ptr<
    rd_kafka_topic_partition_list_t,
    detail::Destroy<rd_kafka_topic_partition_list_destroy>>;

std::string text_of(const void* bytes, std::size_t size) {
    return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), size);
}

}  // namespace

class Tail::Impl {
public:
    ~Impl() {
        if (client) rd_kafka_consumer_close(client.get());
    }

    LogCallback log;  // before client: librdkafka's threads call it until the client is gone
    detail::Client client;
};

Tail::Tail(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}
Tail::~Tail() = default;

Result<std::unique_ptr<Tail>> Tail::open(
    Properties properties, const std::string& topic, int partitions, LogCallback log
) {
    auto impl = std::make_unique<Impl>();
    impl->log = std::move(log);
    // librdkafka wants a group's name even from those who never join one.
    properties.emplace_back("group.id", "txstream-tail");
    properties.emplace_back("enable.auto.commit", "false");
    properties.emplace_back("fetch.wait.max.ms", "10");
    TXS_TRY(auto conf, detail::make_conf(properties, &impl->log));
    TXS_TRY(impl->client, detail::make_client(RD_KAFKA_CONSUMER, std::move(conf)));
    rd_kafka_poll_set_consumer(impl->client.get());
    const Partitions list(rd_kafka_topic_partition_list_new(partitions));
    for (int partition = 0; partition < partitions; ++partition) {
        rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
    }
    if (const auto error = rd_kafka_assign(impl->client.get(), list.get()); error != 0)
        return tl::unexpected<Error>(to_error(error, "read topic " + topic));
    return std::unique_ptr<Tail>(new Tail(std::move(impl)));
}

std::optional<TailedRecord> Tail::next(std::chrono::milliseconds timeout) {
    const Message message(
        rd_kafka_consumer_poll(impl_->client.get(), static_cast<int>(timeout.count()))
    );
    if (!message || message->err != RD_KAFKA_RESP_ERR_NO_ERROR) return std::nullopt;
    TailedRecord record;
    record.partition = message->partition;
    record.offset = message->offset;
    rd_kafka_timestamp_type_t type;
    record.timestamp_ms = rd_kafka_message_timestamp(message.get(), &type);
    record.key = text_of(message->key, message->key_len);
    record.value = text_of(message->payload, message->len);
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(message.get(), &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char* name = nullptr;
        const void* value = nullptr;
        std::size_t size = 0;
        for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) ==
                                RD_KAFKA_RESP_ERR_NO_ERROR;
             ++i) {
            record.headers.emplace_back(name, text_of(value, size));
        }
    }
    return record;
}

}  // namespace txstream::kafka
