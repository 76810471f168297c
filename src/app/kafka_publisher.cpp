#include "app/kafka_publisher.hpp"

#include "kafka/kafka_error.hpp"
#include "telemetry/log.hpp"

#include <fmt/format.h>

#include <map>
#include <utility>
#include <vector>

namespace txstream::app {

namespace {

// librdkafka logs by syslog levels: 3 error, 4 warning, 5 notice, 6 info, 7 debug. A broker that is
// away is its error and our warning: events wait, nothing has failed yet.
constexpr int kSyslogWarning = 4;

relay::Outcome outcome_of(int error) {
    if (error == 0) return relay::Outcome::acknowledged;
    switch (kafka::verdict_of(error)) {
        case kafka::Verdict::retryable:
        case kafka::Verdict::fatal:
            return relay::Outcome::retryable;
        case kafka::Verdict::permanent_event:
            return relay::Outcome::refused_event;
        case kafka::Verdict::permanent_topic:
            return relay::Outcome::refused_topic;
    }
    return relay::Outcome::retryable;
}

class KafkaPublisher final : public relay::Publisher {
public:
    KafkaPublisher(std::size_t message_bytes_max, relay::PublisherEvents events)
        : message_bytes_max_(message_bytes_max), events_(std::move(events)) {}

    Result<> open(asio::any_io_executor executor, const kafka::Properties& properties) {
        kafka::Producer::Events events;
        events.reports = [this](std::span<const kafka::Report> reports) { forward(reports); };
        events.fatal = events_.fatal;
        events.brokers_down = events_.brokers_down;
        TXS_TRY(
            producer_,
            kafka::Producer::create(std::move(executor), properties, std::move(events), kafka_log())
        );
        return {};
    }

    Result<> publish(const relay::Record& record) override {
        headers_.clear();
        for (const auto& header : record.headers) headers_.push_back({header.name, header.value});
        kafka::Record out;
        out.topic = record.topic;
        out.key = record.key;
        out.value = record.value;
        out.is_tombstone = record.is_tombstone;
        out.headers = headers_;
        out.timestamp_ms = record.timestamp_ms;
        out.context = record.context;
        auto taken = producer_->produce(out);
        if (taken || taken.error().code() != Code::rejected) return taken;
        const auto bytes = record.key.size() + record.value.size();
        return fail(Code::rejected, explain(taken.error().origin(), bytes), taken.error().origin());
    }

    std::string explain(std::string_view error, std::size_t bytes) const override {
        return fmt::format(
            "Kafka refuses the record of {} bytes with {}; at most {} bytes are allowed (the lower "
            "of KAFKA_MESSAGE_BYTES_MAX and the topic's max.message.bytes)",
            bytes,
            error,
            message_bytes_max_
        );
    }

private:
    void forward(std::span<const kafka::Report> reports) {
        reports_.clear();
        for (const auto& report : reports) {
            reports_.push_back(
                {report.context,
                 outcome_of(report.error),
                 report.partition,
                 report.offset,
                 report.error == 0 ? std::string_view() : name_of(report.error)}
            );
        }
        events_.reports(reports_);
    }

    std::string_view name_of(int error) {
        const auto [place, is_new] = names_.try_emplace(error);
        if (is_new) place->second = kafka::name_of(error);
        return place->second;
    }

    std::size_t message_bytes_max_;
    relay::PublisherEvents events_;
    std::vector<kafka::Header> headers_;
    std::vector<relay::Report> reports_;
    std::map<int, std::string> names_;
    std::unique_ptr<kafka::Producer> producer_;
};

}  // namespace

kafka::LogCallback kafka_log() {
    return [](int level, std::string_view text) {
        // Said at each start of a producer, of the guarantee that we chose knowingly.
        if (text.find("enable.gapless.guarantee is experimental") != std::string_view::npos) return;
        log::write(
            level <= kSyslogWarning ? log::Level::warn : log::Level::debug, "kafka", text, {}
        );
    };
}

kafka::Properties to_kafka(const Config::Properties& properties) {
    return {properties.begin(), properties.end()};
}

Result<std::unique_ptr<relay::Publisher>> make_kafka_publisher(
    asio::any_io_executor executor,
    const kafka::Properties& properties,
    std::size_t message_bytes_max,
    relay::PublisherEvents events
) {
    auto publisher = std::make_unique<KafkaPublisher>(message_bytes_max, std::move(events));
    TXS_CHECK(publisher->open(std::move(executor), properties));
    return publisher;
}

}  // namespace txstream::app
