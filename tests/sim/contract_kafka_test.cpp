// The contract of the port to Kafka, of the simulation's model. contract_kafkatest.cpp asks a
// broker.

#include "tests/sim/contract_kafka.hpp"

#include "tests/sim/kafka.hpp"

namespace txstream::sim {
namespace {

class ModelOfKafka {
public:
    ModelOfKafka() {
        kafka_.on_store = [](const Stored&) {};
        kafka_.on_refuse = [](std::int64_t, bool) {};
        kafka_.on_hand_over = [](const auto&, int) {};
        kafka_.on_send = [](const auto&) {};
        kafka_.on_incident = [](std::string_view) {};
    }

    static std::size_t bytes_max() { return 1'000; }
    std::string topic(tests::Limit limit) {
        auto name = "topic-" + std::to_string(++topics_);
        auto& topic = kafka_.topic(name);
        topic.bytes_max = bytes_max();
        topic.tells_limit = limit == tests::Limit::told;
        return name;
    }
    std::string missing_topic() {
        kafka_.topic("missing").exists = false;
        return "missing";
    }
    std::unique_ptr<relay::Publisher> publisher(relay::Path path, relay::PublisherEvents events) {
        return make_publisher(kafka_, process_, "test", path, known_, std::move(events));
    }
    template <class Condition>
    bool until(Condition condition) {
        return world_.until(60s, condition);
    }
    void rest() {
        (void)world_.until(1s, [] { return false; });
    }
    std::vector<tests::StoredRecord> log(const std::string& topic) {
        std::vector<tests::StoredRecord> all;
        for (const auto& partition : kafka_.topic(topic).log)
            for (const auto& record : partition)
                all.push_back({record.partition, record.offset, record.key, record.value});
        return all;
    }

private:
    Simulation world_{{.seed = 1, .keeps_schedule = false}};
    Kafka kafka_{world_};
    Process& process_ = world_.start("test");
    std::shared_ptr<Kafka::Known> known_ = std::make_shared<Kafka::Known>();
    int topics_ = 0;
};

}  // namespace
}  // namespace txstream::sim

namespace txstream::tests {
INSTANTIATE_TYPED_TEST_SUITE_P(Model, KafkaContract, sim::ModelOfKafka);
}
