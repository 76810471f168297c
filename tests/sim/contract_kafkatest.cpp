// The contract of the port to Kafka, of a broker. contract_test.cpp asks the simulation's model.

#include "app/kafka_publisher.hpp"
#include "kafka/admin.hpp"
#include "kafka/record_reader.hpp"
#include "kafka/test_support.hpp"
#include "tests/sim/contract_kafka.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <variant>

namespace txstream::tests {
namespace {

using namespace std::chrono_literals;

class BrokerWorld {
public:
    /// The broker's own.
    static constexpr std::size_t kBytesMax = 1'048'588;

    static std::size_t bytes_max() { return kBytesMax; }
    std::string topic(Limit limit) {
        auto name = kafka::test::own_topic();
        kafka::ensure_topic(properties(), name, 2, 1, Deadline::in(20s), nullptr).value();
        if (limit == Limit::untold) limits_ = std::make_shared<app::TopicLimits>(kMost, nullptr);
        return name;
    }
    static std::string missing_topic() { return kafka::test::own_topic(); }
    std::unique_ptr<relay::Publisher> publisher(relay::Path path, relay::PublisherEvents events) {
        return app::make_kafka_publisher(
                   loop_.get_executor(),
                   path,
                   [] { return Result<kafka::Properties>(properties()); },
                   limits_,
                   std::move(events),
                   std::make_shared<app::KafkaTrouble>()
        )
            .value();
    }
    template <class Condition>
    bool until(Condition condition) {
        const auto end = std::chrono::steady_clock::now() + 30s;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > end) return false;
            loop_.run_one_for(20ms);
            loop_.restart();
        }
        return true;
    }
    void rest() {
        loop_.run_for(300ms);
        loop_.restart();
    }
    static std::vector<StoredRecord> log(const std::string& topic) {
        const auto reader = kafka::RecordReader::open(properties(), nullptr).value();
        const auto deadline = Deadline::in(20s);
        const auto bounds =
            reader->bounds(topic, reader->partitions(topic, deadline).value(), deadline).value();
        std::vector<kafka::ReadRange> ranges;
        for (const auto& one : bounds) {
            if (one.end > one.low) ranges.push_back({one.partition, one.low, one.end});
        }
        std::vector<StoredRecord> all;
        if (ranges.empty()) return all;
        if (const auto started = reader->start(topic, ranges); !started)
            throw std::runtime_error(started.error().what());
        for (auto left = ranges.size(); left > 0 && !deadline.passed();) {
            const auto step = reader->next(100ms);
            if (const auto* record = std::get_if<kafka::FetchedRecord>(&step)) {
                all.push_back(
                    {record->partition, record->offset, *record->key, record->value.value_or("")}
                );
            } else if (const auto* reached = std::get_if<kafka::Reached>(&step)) {
                left -= reached->is_done ? 1 : 0;
            } else if (const auto* failed = std::get_if<kafka::ReadFailed>(&step)) {
                throw std::runtime_error(failed->error.what());
            }
        }
        return all;
    }

private:
    static constexpr std::size_t kMost = 3'000'000;

    static kafka::Properties properties() {
        return {
            {"bootstrap.servers", kafka::test::real_broker()},
            {"enable.idempotence", "true"},
            {"acks", "all"},
            {"partitioner", "murmur2_random"},
            {"message.timeout.ms", "0"},
            {"linger.ms", "1"},
            {"allow.auto.create.topics", "false"},
            {"topic.metadata.propagation.max.ms", "500"},
            {"batch.size", "2500000"},
            {"message.max.bytes", std::to_string(kMost)},
            {"queue.buffering.max.messages", "100"},
        };
    }

    asio::io_context loop_;
    std::shared_ptr<app::TopicLimits> limits_ =
        std::make_shared<app::TopicLimits>(kMost, [](const std::vector<std::string>& topics) {
            return kafka::describe_topics(properties(), topics, Deadline::in(20s), nullptr);
        });
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Broker, KafkaContract, BrokerWorld);

}  // namespace txstream::tests
