#include "kafka/tail.hpp"

#include "kafka/detail/handles.hpp"
#include "kafka/kafka_error.hpp"

#include <chrono>
#include <set>
#include <string_view>
#include <sys/syslog.h>
#include <utility>

namespace txstream::kafka {

namespace {

using Clock = std::chrono::steady_clock;
using Message = std::unique_ptr<rd_kafka_message_t, detail::Destroy<rd_kafka_message_destroy>>;
using Metadata =
    std::unique_ptr<const rd_kafka_metadata_t, detail::Destroy<rd_kafka_metadata_destroy>>;
using Partitions = std::unique_ptr<
    rd_kafka_topic_partition_list_t,
    detail::Destroy<rd_kafka_topic_partition_list_destroy>>;

// How long a new topic may stay unseen.
constexpr std::chrono::milliseconds kLookInterval{500};
constexpr int kLookTimeoutMs = 1000;

std::string text_of(const void* bytes, std::size_t size) {
    return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), size);
}

}  // namespace

class Tail::Impl {
public:
    ~Impl() {
        if (client) rd_kafka_consumer_close(client.get());
    }

    void look_for_topics() {
        if (Clock::now() < look_at_) return;
        look_at_ = Clock::now() + kLookInterval;
        const rd_kafka_metadata_t* raw = nullptr;
        if (rd_kafka_metadata(client.get(), 1, nullptr, &raw, kLookTimeoutMs) != 0) return;
        const Metadata all(raw);
        const Partitions fresh(rd_kafka_topic_partition_list_new(0));
        for (int i = 0; i < all->topic_cnt; ++i) {
            const auto& topic = all->topics[i];
            if (std::string_view(topic.topic).starts_with("__")) continue;
            for (int partition = 0; partition < topic.partition_cnt; ++partition) {
                if (!known_.emplace(topic.topic, partition).second) continue;
                rd_kafka_topic_partition_list_add(fresh.get(), topic.topic, partition)->offset =
                    RD_KAFKA_OFFSET_BEGINNING;
            }
        }
        if (fresh->cnt == 0) return;
        // What is read already goes on where it is.
        if (auto* error = rd_kafka_incremental_assign(client.get(), fresh.get())) {
            if (log) log(LOG_ERR, rd_kafka_error_string(error));
            rd_kafka_error_destroy(error);
        }
    }

    LogCallback log;  // before client: librdkafka's threads call it until the client is gone
    detail::Client client;

private:
    std::set<std::pair<std::string, int>> known_;
    Clock::time_point look_at_{};
};

Tail::Tail(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}
Tail::~Tail() = default;

Result<std::unique_ptr<Tail>> Tail::open(Properties properties, LogCallback log) {
    auto impl = std::make_unique<Impl>();
    impl->log = std::move(log);
    // librdkafka wants a group's name even from those who never join one.
    properties.emplace_back("group.id", "txstream-tail");
    properties.emplace_back("enable.auto.commit", "false");
    properties.emplace_back("fetch.wait.max.ms", "10");
    TXS_TRY(auto conf, detail::make_conf(properties, &impl->log));
    TXS_TRY(impl->client, detail::make_client(RD_KAFKA_CONSUMER, std::move(conf)));
    rd_kafka_poll_set_consumer(impl->client.get());
    return std::unique_ptr<Tail>(new Tail(std::move(impl)));
}

std::optional<TailedRecord> Tail::next(std::chrono::milliseconds timeout) {
    impl_->look_for_topics();
    const Message message(
        rd_kafka_consumer_poll(impl_->client.get(), static_cast<int>(timeout.count()))
    );
    if (!message || message->err != RD_KAFKA_RESP_ERR_NO_ERROR) return std::nullopt;
    TailedRecord record;
    record.topic = rd_kafka_topic_name(message->rkt);
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
