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
constexpr std::string_view kTooLarge = "MSG_SIZE_TOO_LARGE";

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
    KafkaPublisher(
        RecordLimits limits, relay::PublisherEvents events, std::shared_ptr<KafkaTrouble> trouble
    )
        : limits_(std::move(limits)), events_(std::move(events)), trouble_(std::move(trouble)) {}

    Result<> open(const asio::any_io_executor& executor, const KafkaProperties& source) {
        TXS_TRY(const auto properties, source());
        kafka::Producer::Events events;
        events.reports = [this](std::span<const kafka::Report> reports) { forward(reports); };
        events.fatal = events_.fatal;
        events.brokers_down = [this](Error error) {
            note(error);
            events_.brokers_down(std::move(error));
        };
        events.still_down = [this](const Error& error) { note(error); };
        events.renew = source;
        TXS_TRY(
            producer_, kafka::Producer::create(executor, properties, std::move(events), kafka_log())
        );
        return {};
    }

    Result<> publish(const relay::Record& record) override {
        const auto bytes = record.key.size() + record.value.size();
        if (bytes > limits_.topic_bytes_max && record.topic == limits_.topic)
            return refusal(kTooLarge, record);
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
        return refusal(taken.error().origin(), record);
    }

    std::string explain(std::string_view error, std::string_view topic, std::size_t bytes)
        const override {
        const bool is_known = topic == limits_.topic;
        return fmt::format(
            "Kafka refuses the record of {} bytes with {}; at most {} bytes are allowed ({})",
            bytes,
            error,
            is_known ? limits_.topic_bytes_max : limits_.bytes_max,
            is_known ? "the lower of KAFKA_MESSAGE_BYTES_MAX and the topic's max.message.bytes"
                     : "KAFKA_MESSAGE_BYTES_MAX; the topic's max.message.bytes may be lower"
        );
    }

private:
    tl::unexpected<Error> refusal(std::string_view error, const relay::Record& record) const {
        const auto bytes = record.key.size() + record.value.size();
        return fail(Code::rejected, explain(error, record.topic, bytes), std::string(error));
    }

    void note(const Error& error) {
        // Brokers close idle connections. What keeps the next one from coming up has another name.
        if (error.origin() == kafka::kDisconnected || !trouble_->happened(error)) return;
        log::warn(
            "kafka",
            "no broker can be used; trying again",
            {{"error", error.what()}, {"error_type", error.origin()}}
        );
    }

    void forward(std::span<const kafka::Report> reports) {
        reports_.clear();
        for (const auto& report : reports) {
            if (report.error == 0) trouble_->is_over();
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

    RecordLimits limits_;
    relay::PublisherEvents events_;
    std::shared_ptr<KafkaTrouble> trouble_;
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

bool KafkaTrouble::happened(const Error& error) {
    const std::scoped_lock lock(mutex_);
    const bool is_new = !last_ || last_->kind != error.origin();
    last_ = {
        error.origin(),
        std::string(kafka::advice_of(error.origin())),
        std::chrono::system_clock::now()
    };
    has_any_ = true;
    return is_new;
}

void KafkaTrouble::is_over() {
    if (!has_any_.load(std::memory_order_relaxed)) return;
    const std::scoped_lock lock(mutex_);
    last_.reset();
    has_any_ = false;
}

std::optional<KafkaTrouble::Last> KafkaTrouble::last() const {
    const std::scoped_lock lock(mutex_);
    return last_;
}

kafka::Properties to_kafka(const Config::Properties& properties) {
    return {properties.begin(), properties.end()};
}

Result<std::unique_ptr<relay::Publisher>> make_kafka_publisher(
    const asio::any_io_executor& executor,
    const KafkaProperties& properties,
    RecordLimits limits,
    relay::PublisherEvents events,
    std::shared_ptr<KafkaTrouble> trouble
) {
    auto publisher =
        std::make_unique<KafkaPublisher>(std::move(limits), std::move(events), std::move(trouble));
    TXS_CHECK(publisher->open(executor, properties));
    return publisher;
}

}  // namespace txstream::app
