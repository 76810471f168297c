#include "kafka/record_reader.hpp"

#include "base/assert.hpp"
#include "kafka/detail/handles.hpp"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <span>
#include <string_view>
#include <utility>

namespace txstream::kafka {

namespace {

using Message = std::unique_ptr<rd_kafka_message_t, detail::Destroy<rd_kafka_message_destroy>>;
using Metadata =
    std::unique_ptr<const rd_kafka_metadata_t, detail::Destroy<rd_kafka_metadata_destroy>>;
using Partitions = std::unique_ptr<
    rd_kafka_topic_partition_list_t,
    detail::Destroy<rd_kafka_topic_partition_list_destroy>>;

constexpr int kWakeMs = 200;

constexpr std::array<std::string_view, 13> kOfConnections{
    "bootstrap.servers",
    "metadata.broker.list",
    "security.",
    "sasl.",
    "ssl.",
    "enable.sasl.",
    "enable.ssl.",
    "client.",
    "socket.",
    "broker.",
    "reconnect.",
    "debug",
    "log",
};

Properties properties_of(const Properties& given, std::chrono::milliseconds wait) {
    Properties ours;
    for (const auto& property : given) {
        if (std::ranges::any_of(kOfConnections, [&](std::string_view prefix) {
                return property.first.starts_with(prefix);
            }))
            ours.push_back(property);
    }
    const auto set = [&](const char* name, auto value) {
        if constexpr (std::is_integral_v<decltype(value)>) {
            ours.emplace_back(name, std::to_string(value));
        } else {
            ours.emplace_back(name, value);
        }
    };
    set("isolation.level", "read_committed");
    set("allow.auto.create.topics", "false");
    set("auto.offset.reset", "error");
    set("enable.partition.eof", "true");
    set("enable.auto.offset.store", "false");
    set("check.crcs", "false");
    set("queued.min.messages", RecordReader::kQueueRecords);
    set("queued.max.messages.kbytes", RecordReader::kQueueBytes / 1024);
    set("message.max.bytes", 100'000);  // of our requests; must not exceed the next
    set("fetch.max.bytes", RecordReader::kFetchBytes);
    set("max.partition.fetch.bytes", RecordReader::kPartitionFetchBytes);
    // A request that waits for records at an end keeps those of another range waiting; the
    // development broker lets every record wait that long.
    set("fetch.wait.max.ms", wait.count());
    set("fetch.error.backoff.ms", 100);
    set("socket.timeout.ms", RecordReader::kSocketTimeout.count());
    set("reconnect.backoff.max.ms", 1000);
    return ours;
}

int milliseconds_left(Deadline deadline) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline.left()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 1, 60'000));
}

std::optional<std::string> bytes_of(const void* bytes, std::size_t size) {
    if (bytes == nullptr) return std::nullopt;
    return std::string(static_cast<const char*>(bytes), size);
}

FetchedRecord record_of(const rd_kafka_message_t& message) {
    FetchedRecord record{
        .partition = message.partition,
        .offset = message.offset,
        .key = bytes_of(message.key, message.key_len),
        .value = bytes_of(message.payload, message.len),
    };
    rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    record.timestamp_ms = rd_kafka_message_timestamp(&message, &type);
    if (type == RD_KAFKA_TIMESTAMP_CREATE_TIME) record.timestamp_type = TimestampType::create;
    if (type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME) record.timestamp_type = TimestampType::append;
    rd_kafka_headers_t* headers = nullptr;
    if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return record;
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    for (std::size_t i = 0;
         rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         ++i)
        record.headers.push_back({.name = name, .value = bytes_of(value, size)});
    return record;
}

tl::unexpected<Error> failed(rd_kafka_resp_err_t error, std::string_view doing) {
    return tl::unexpected<Error>(
        to_error(error, std::string(doing) + ": " + rd_kafka_err2str(error))
    );
}

}  // namespace

class RecordReader::Impl {
public:
    ~Impl() { stop(); }

    Result<Metadata> metadata(const std::string& name, Deadline deadline) {
        auto* handle = topic(name);
        const rd_kafka_metadata_t* raw = nullptr;
        const auto error =
            rd_kafka_metadata(client.get(), 0, handle, &raw, milliseconds_left(deadline));
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR) return because(failed(error, "topic " + name));
        Metadata found(raw);
        if (found->topic_cnt != 1 || found->topics[0].partition_cnt == 0) {
            const auto why = found->topic_cnt == 1 ? found->topics[0].err
                                                   : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
            if (why == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
                return failed(why, "topic " + name);
            return fail(
                Code::not_found, "topic " + name + " does not exist", std::string(name_of(why))
            );
        }
        return found;
    }

    /// Offsets that the brokers have for `timestamp` (-2: low, -1: last stable); the errors of
    /// single partitions go into `errors`.
    Result<std::vector<std::int64_t>> list_offsets(
        const std::string& name,
        const std::vector<std::int32_t>& partitions,
        std::int64_t timestamp,
        std::vector<std::optional<Error>>& errors,
        Deadline deadline
    ) {
        const Partitions asked(rd_kafka_topic_partition_list_new(0));
        for (std::size_t i = 0; i < partitions.size(); ++i) {
            if (errors[i]) continue;
            rd_kafka_topic_partition_list_add(asked.get(), name.c_str(), partitions[i])->offset =
                timestamp;
        }
        std::vector<std::int64_t> offsets(partitions.size(), -1);
        if (asked->cnt == 0) return offsets;
        const auto error =
            rd_kafka_offsets_for_times(client.get(), asked.get(), milliseconds_left(deadline));
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
            return because(failed(error, "offsets of topic " + name));
        connections.worked();
        for (std::size_t i = 0; i < partitions.size(); ++i) {
            const auto* found =
                rd_kafka_topic_partition_list_find(asked.get(), name.c_str(), partitions[i]);
            if (found == nullptr) continue;
            if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
                errors[i] =
                    failed(found->err, "partition " + std::to_string(partitions[i])).value();
            } else {
                offsets[i] = found->offset;
            }
        }
        return offsets;
    }

    /// Those without a leader: asking for one of them would keep the others waiting.
    Result<std::vector<std::optional<Error>>> leaderless(
        const std::string& name, const std::vector<std::int32_t>& partitions, Deadline deadline
    ) {
        TXS_TRY(const auto found, metadata(name, deadline));
        std::vector<std::optional<Error>> errors(partitions.size());
        const auto& of_topic = found->topics[0];
        for (std::size_t i = 0; i < partitions.size(); ++i) {
            const rd_kafka_metadata_partition_t* end = of_topic.partitions + of_topic.partition_cnt;
            const rd_kafka_metadata_partition_t* begin = of_topic.partitions;
            const auto* at =
                std::find_if(begin, end, [&](const rd_kafka_metadata_partition_t& one) {
                    return one.id == partitions[i];
                });
            const auto text = "partition " + std::to_string(partitions[i]);
            if (at == end) {
                errors[i] = Error(Code::not_found, text + " does not exist");
            } else if (at->leader < 0) {
                errors[i] = Error(Code::unavailable, text + " has no leader");
            }
        }
        return errors;
    }

    Result<> start(const std::string& name, const std::vector<ReadRange>& wanted) {
        stop();
        auto* handle = topic(name);
        // A queue of its own for each start: what is left in the old one belongs to other offsets.
        queue.reset(rd_kafka_queue_new(client.get()));
        for (const auto& range : wanted) {
            if (range.from >= range.to) {
                ready.emplace_back(Reached{range.partition, range.to, true});
                continue;
            }
            TXS_ASSERT(!ranges.contains(range.partition), "a partition is read from one place");
            if (rd_kafka_consume_start_queue(handle, range.partition, range.from, queue.get()) !=
                0) {
                const auto error = rd_kafka_last_error();
                stop();
                return failed(error, "read partition " + std::to_string(range.partition));
            }
            ranges.emplace(range.partition, range);
        }
        reading = handle;
        return {};
    }

    void stop() {
        while (!ranges.empty()) stop(ranges.begin()->first);
        ready.clear();
        drained.clear();
        queue.reset();
    }

    void stop(std::int32_t partition) {
        if (ranges.erase(partition) != 0) rd_kafka_consume_stop(reading, partition);
    }

    ReadStep next(std::chrono::milliseconds timeout) {
        look_at_connections();
        while (ready.empty() && queue) {
            if (drained.empty() && !drain(timeout)) break;
            const Message message = std::move(drained.front());
            drained.pop_front();
            take(*message);
        }
        if (ready.empty()) return std::monostate{};
        auto step = std::move(ready.front());
        ready.erase(ready.begin());
        return step;
    }

    /// All that has arrived, so that librdkafka's queue is empty and it fetches more meanwhile.
    bool drain(std::chrono::milliseconds timeout) {
        std::array<rd_kafka_message_t*, 512> batch{};
        std::size_t bytes = 0;
        std::size_t records = 0;
        int wait = static_cast<int>(timeout.count());
        while (true) {
            // The batch call waits for a full batch, so the first one comes alone.
            ssize_t count = 0;
            if (wait > 0) {
                batch[0] = rd_kafka_consume_queue(queue.get(), wait);
                count = batch[0] == nullptr ? 0 : 1;
            } else {
                count = rd_kafka_consume_batch_queue(queue.get(), 0, batch.data(), batch.size());
            }
            if (count <= 0) break;
            wait = 0;
            for (auto* message : std::span(batch).first(static_cast<std::size_t>(count))) {
                bytes += message->len + message->key_len;
                drained.emplace_back(message);
            }
            records += static_cast<std::size_t>(count);
        }
        if (bytes >= kQueueBytes * 3 / 4 || records >= kQueueRecords * 3 / 4) wake();
        return !drained.empty();
    }

    /// A broker's thread that found the queue full sleeps up to a second before it looks again,
    /// also when the queue has long been empty (fetch.queue.backoff.ms of later versions). A
    /// request to the broker wakes it.
    void wake() {
        const Partitions asked(rd_kafka_topic_partition_list_new(0));
        for (const auto& [partition, range] : ranges)
            rd_kafka_topic_partition_list_add(asked.get(), rd_kafka_topic_name(reading), partition)
                ->offset = RD_KAFKA_OFFSET_END;
        if (asked->cnt > 0) (void)rd_kafka_offsets_for_times(client.get(), asked.get(), kWakeMs);
    }

    void take(const rd_kafka_message_t& message) {
        const auto at = ranges.find(message.partition);
        if (at == ranges.end()) return;
        const auto range = at->second;
        if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            connections.worked();
            if (range.to == ReadRange::kFollow) {
                ready.emplace_back(Reached{message.partition, message.offset, false});
            } else {
                done(range, std::min(message.offset, range.to));
            }
            return;
        }
        if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            refused(message);
            return;
        }
        connections.worked();
        if (message.offset < range.from) return;
        if (message.offset < range.to) ready.emplace_back(record_of(message));
        if (message.offset + 1 >= range.to) done(range, range.to);
    }

    void done(const ReadRange& range, std::int64_t position) {
        stop(range.partition);
        ready.emplace_back(Reached{range.partition, position, true});
    }

    void refused(const rd_kafka_message_t& message) {
        const bool is_out_of_range = message.err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
                                     message.err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
        auto error =
            to_error(message.err, std::string("read: ") + rd_kafka_message_errstr(&message));
        if (error.retryable() && !is_out_of_range) return;  // librdkafka goes on where it was
        stop(message.partition);
        ready.emplace_back(ReadFailed{message.partition, is_out_of_range, std::move(error)});
    }

    void look_at_connections() {
        while (const detail::Event event{rd_kafka_queue_poll(main.get(), 0)}) {
            const auto code = rd_kafka_event_error(event.get());
            if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_ERROR &&
                code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
                (void)connections.failed(code, rd_kafka_event_error_string(event.get()));
        }
    }

    /// "Timed out": where the connections say more, what they say.
    tl::unexpected<Error> because(tl::unexpected<Error> error) {
        look_at_connections();
        if (error.value().retryable() && connections.trouble())
            return tl::unexpected<Error>(*connections.trouble());
        return error;
    }

    rd_kafka_topic_t* topic(const std::string& name) {
        auto& handle = topics[name];
        if (!handle) handle.reset(rd_kafka_topic_new(client.get(), name.c_str(), nullptr));
        return handle.get();
    }

    LogCallback log;  // before client: librdkafka's threads call it until the client is gone
    detail::Client client;
    detail::Queue main;
    std::map<std::string, detail::Topic> topics;
    detail::Queue queue;
    rd_kafka_topic_t* reading = nullptr;
    std::map<std::int32_t, ReadRange> ranges;  ///< that are being read
    std::deque<Message> drained;
    std::vector<ReadStep> ready;
    detail::Connections connections;
};

RecordReader::RecordReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}
RecordReader::~RecordReader() = default;

Result<std::unique_ptr<RecordReader>> RecordReader::open(
    const Properties& properties, LogCallback log, std::chrono::milliseconds wait
) {
    auto impl = std::make_unique<Impl>();
    impl->log = std::move(log);
    TXS_TRY(auto conf, detail::make_conf(properties_of(properties, wait), &impl->log));
    rd_kafka_conf_set_events(conf.get(), RD_KAFKA_EVENT_ERROR);
    TXS_TRY(impl->client, detail::make_client(RD_KAFKA_CONSUMER, std::move(conf)));
    impl->main.reset(rd_kafka_queue_get_main(impl->client.get()));
    return std::unique_ptr<RecordReader>(new RecordReader(std::move(impl)));
}

Result<std::vector<std::int32_t>> RecordReader::partitions(
    const std::string& topic, Deadline deadline
) {
    TXS_TRY(const auto found, impl_->metadata(topic, deadline));
    std::vector<std::int32_t> partitions;
    for (int i = 0; i < found->topics[0].partition_cnt; ++i)
        partitions.push_back(found->topics[0].partitions[i].id);
    std::ranges::sort(partitions);
    return partitions;
}

Result<std::vector<PartitionBounds>> RecordReader::bounds(
    const std::string& topic, const std::vector<std::int32_t>& partitions, Deadline deadline
) {
    TXS_TRY(auto errors, impl_->leaderless(topic, partitions, deadline));
    TXS_TRY(
        const auto lows,
        impl_->list_offsets(topic, partitions, RD_KAFKA_OFFSET_BEGINNING, errors, deadline)
    );
    TXS_TRY(
        const auto ends,
        impl_->list_offsets(topic, partitions, RD_KAFKA_OFFSET_END, errors, deadline)
    );
    std::vector<PartitionBounds> bounds;
    for (std::size_t i = 0; i < partitions.size(); ++i)
        bounds.push_back(
            {.partition = partitions[i],
             .low = std::max<std::int64_t>(lows[i], 0),
             .end = std::max<std::int64_t>({ends[i], lows[i], 0}),
             .error = errors[i]}
        );
    return bounds;
}

Result<std::vector<std::int64_t>> RecordReader::offsets_at(
    const std::string& topic,
    const std::vector<std::int32_t>& partitions,
    std::int64_t timestamp_ms,
    Deadline deadline
) {
    TXS_TRY(auto errors, impl_->leaderless(topic, partitions, deadline));
    // Negative times are names of offsets.
    TXS_TRY(
        auto offsets,
        impl_->list_offsets(
            topic, partitions, std::max<std::int64_t>(timestamp_ms, 0), errors, deadline
        )
    );
    for (auto& offset : offsets) offset = std::max<std::int64_t>(offset, -1);
    return offsets;
}

Result<> RecordReader::start(const std::string& topic, const std::vector<ReadRange>& ranges) {
    return impl_->start(topic, ranges);
}

ReadStep RecordReader::next(std::chrono::milliseconds timeout) {
    return impl_->next(timeout);
}

void RecordReader::stop(std::int32_t partition) {
    impl_->stop(partition);
}

void RecordReader::stop() {
    impl_->stop();
}

std::optional<Error> RecordReader::trouble() {
    impl_->look_at_connections();
    return impl_->connections.trouble();
}

std::int64_t RecordReader::high_watermark(std::int32_t partition) const {
    std::int64_t low = -1;
    std::int64_t high = -1;
    if (impl_->reading == nullptr) return -1;
    (void)rd_kafka_get_watermark_offsets(
        impl_->client.get(), rd_kafka_topic_name(impl_->reading), partition, &low, &high
    );
    return high;
}

}  // namespace txstream::kafka
