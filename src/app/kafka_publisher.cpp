#include "app/kafka_publisher.hpp"

#include "kafka/kafka_error.hpp"
#include "telemetry/log.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace txstream::app {

namespace {

// librdkafka logs by syslog levels: 3 error, 4 warning, 5 notice, 6 info, 7 debug. A broker that is
// away is its error and our warning: events wait, nothing has failed yet.
constexpr int kSyslogWarning = 4;
constexpr std::string_view kTooLarge = "MSG_SIZE_TOO_LARGE";
constexpr std::string_view kBatchSize = "batch.size";
constexpr std::size_t kFramingBytes = 128;
constexpr std::size_t kHeaderFramingBytes = 10;  // two lengths
// An answer of the cluster on which no event is parked.
constexpr std::chrono::seconds kOldAnswer{10};
constexpr std::chrono::seconds kJustAsked{1};
constexpr std::chrono::seconds kAskAgain{30};
// However short a topic keeps its records.
constexpr std::chrono::seconds kWaitingMin{2};

bool is_size_error(std::string_view error) {
    return error == kTooLarge || error == "RECORD_LIST_TOO_LARGE" || error == "INVALID_MSG_SIZE";
}

std::string_view advice_of(std::string_view error) {
    if (error == "INVALID_TIMESTAMP")
        return ": the clock of this machine is outside the topic's message.timestamp.*.max.ms";
    if (error == "INVALID_RECORD")
        return ": the topic's configuration or the broker's validation does not allow it";
    return "";
}

// With marks and framing.
std::size_t bytes_of(const kafka::Record& record) {
    auto bytes = record.key.size() + record.value.size() + kFramingBytes;
    for (const auto& headers : {record.headers, record.marks}) {
        for (const auto& [name, value] : headers)
            bytes += kHeaderFramingBytes + name.size() + value.size();
    }
    return bytes;
}

kafka::Record without_marks(kafka::Record record) {
    record.marks = {};
    return record;
}

class KafkaPublisher final : public relay::Publisher {
public:
    KafkaPublisher(
        asio::any_io_executor executor,
        relay::Path path,
        KafkaProperties source,
        std::shared_ptr<TopicLimits> limits,
        relay::PublisherEvents events,
        std::shared_ptr<KafkaTrouble> trouble
    )
        : executor_(std::move(executor)),
          path_(path),
          source_(std::move(source)),
          limits_(std::move(limits)),
          events_(std::move(events)),
          trouble_(std::move(trouble)) {
        // The last call may be on its way through the loop when this is destroyed.
        subscription_ = limits_->subscribe([executor = executor_, alive = std::weak_ptr(alive_)] {
            wake(executor, alive);
        });
    }
    ~KafkaPublisher() override { limits_->unsubscribe(subscription_); }
    KafkaPublisher(const KafkaPublisher&) = delete;
    KafkaPublisher& operator=(const KafkaPublisher&) = delete;

    Result<> open() {
        TXS_TRY(auto properties, source_());
        batch_bytes_ = limits_->batch_bytes_max();
        for (auto& [name, value] : properties) {
            if (name != kBatchSize) continue;
            batch_bytes_ = std::min<std::size_t>(batch_bytes_, std::stoull(value));
            value = std::to_string(batch_bytes_);
        }
        kafka::Producer::Events events;
        events.reports = [this](std::span<const kafka::Report> reports) { forward(reports); };
        events.fatal = events_.fatal;
        events.brokers_down = [this](Error error) {
            note(error);
            events_.brokers_down(std::move(error));
        };
        events.still_down = [this](const Error& error) { note(error); };
        events.renew = source_;
        producer_.reset();
        TXS_TRY(
            producer_,
            kafka::Producer::create(
                executor_,
                std::move(properties),
                path_ == relay::Path::fast ? kafka::Producer::Order::gapless
                                           : kafka::Producer::Order::by_owner,
                std::move(events),
                kafka_log()
            )
        );
        return {};
    }

    Result<> publish(const kafka::Record& record) override {
        const auto* limit = limit_of(record.topic);
        if (limit == nullptr) return wait("the topic's limits are being looked up");
        if (limit->bytes_max < batch_bytes_) {
            // Batches have one size for all topics, and a client keeps the size it was made with.
            // Nor may a producer end in the middle of its own report.
            if (in_flight_ > 0 || is_reporting_)
                return wait("the records in flight go before smaller batches");
            TXS_CHECK(open());
        }
        if (const auto bytes = record.key.size() + record.value.size(); bytes > limit->bytes_max) {
            // The topic's limit may have been raised since.
            limits_->doubt(record.topic, kOldAnswer, Clock::now());
            limit = limit_of(record.topic);
            if (limit == nullptr) return wait("the topic's limits are being looked up");
            if (limit->is_told && bytes > limit->bytes_max) return refusal(kTooLarge, record);
        }
        // A mark may not be why a record is refused that would be taken without it.
        auto taken = record.marks.empty() || bytes_of(record) <= limit->bytes_max
                         ? producer_->produce(record)
                         : producer_->produce(without_marks(record));
        if (taken) ++in_flight_;
        if (taken || taken.error().code() != Code::rejected) return taken;
        return refusal(taken.error().origin(), record);
    }

    std::string explain(std::string_view error, std::string_view topic, std::size_t bytes)
        const override {
        if (is_size_error(error)) return explain_size(error, topic, bytes);
        return fmt::format("Kafka refuses the record with {}{}", error, advice_of(error));
    }

    std::optional<bool> vouches_for(std::string_view topic) override {
        const auto* limit = limit_of(topic);
        if (limit == nullptr) {
            is_waiting_ = true;
            return std::nullopt;
        }
        return limit->is_told;
    }

    void refused(
        std::string_view error, std::string_view topic, std::size_t bytes, std::size_t /*records*/
    ) override {
        if (!is_size_error(error)) return;
        // The owner of the careful one makes batches smaller; here the topic's limit may be new.
        if (path_ == relay::Path::careful) return limits_->doubt(topic, kJustAsked, Clock::now());
        // Beside key, value and headers a batch has its own header, a record some numbers.
        (void)limits_->refused(topic, batch_bytes_, bytes + kFramingBytes, Clock::now());
    }

    std::optional<std::chrono::milliseconds> waiting_max() const override {
        std::optional<std::chrono::milliseconds> shortest;
        for (const auto& [topic, known] : known_) {
            const auto age = known.limit.record_age_max;
            if (age && (!shortest || *age < *shortest)) shortest = age;
        }
        if (!shortest) return std::nullopt;
        return std::max<std::chrono::milliseconds>(*shortest / 2, kWaitingMin);
    }

private:
    using Clock = TopicLimits::Clock;
    struct Known {
        TopicLimit limit;
        std::uint64_t version;
        Clock::time_point asked_at;
    };

    // Asks the shared limits rarely: their lock is every worker's.
    const TopicLimit* limit_of(std::string_view topic) {
        const auto now = Clock::now();
        auto found = known_.find(topic);
        if (found != known_.end() && found->second.version == limits_->version() &&
            now - found->second.asked_at < kAskAgain)
            return &found->second.limit;
        const auto version = limits_->version();
        const auto limit = limits_->of(topic, now);
        if (!limit) return nullptr;
        if (known_.size() >= TopicLimits::kTopicsMax && found == known_.end()) known_.clear();
        return &known_.insert_or_assign(std::string(topic), Known{*limit, version, now})
                    .first->second.limit;
    }

    tl::unexpected<Error> wait(const char* what) {
        is_waiting_ = true;
        return fail(Code::overloaded, what);
    }

    static void wake(
        const asio::any_io_executor& executor, const std::weak_ptr<KafkaPublisher*>& alive
    ) {
        asio::post(executor, [alive] {
            const auto self = alive.lock();
            if (self && std::exchange((*self)->is_waiting_, false)) (*self)->events_.ready();
        });
    }

    std::string explain_size(std::string_view error, std::string_view topic, std::size_t bytes)
        const {
        const auto known = known_.find(topic);
        const bool is_told = known != known_.end() && known->second.limit.is_told;
        return fmt::format(
            "Kafka refuses the record of {} bytes with {}; at most {} bytes are allowed ({})",
            bytes,
            error,
            known != known_.end() ? known->second.limit.bytes_max : batch_bytes_,
            is_told ? "the lower of KAFKA_MESSAGE_BYTES_MAX and the topic's max.message.bytes"
                    : "KAFKA_MESSAGE_BYTES_MAX; the topic's max.message.bytes may be lower"
        );
    }

    tl::unexpected<Error> refusal(std::string_view error, const kafka::Record& record) const {
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
        in_flight_ -= reports.size();
        const auto is_acknowledged = [](const kafka::Report& report) {
            return report.outcome == kafka::Outcome::acknowledged;
        };
        if (std::ranges::any_of(reports, is_acknowledged)) trouble_->is_over();
        is_reporting_ = true;
        events_.reports(reports);
        is_reporting_ = false;
        if (in_flight_ == 0 && is_waiting_) wake(executor_, alive_);
    }

    asio::any_io_executor executor_;
    relay::Path path_;
    KafkaProperties source_;
    std::shared_ptr<TopicLimits> limits_;
    relay::PublisherEvents events_;
    std::shared_ptr<KafkaTrouble> trouble_;
    std::shared_ptr<KafkaPublisher*> alive_ = std::make_shared<KafkaPublisher*>(this);
    std::uint64_t subscription_ = 0;
    std::map<std::string, Known, std::less<>> known_;
    std::size_t batch_bytes_ = 0;  ///< of the producer
    std::size_t in_flight_ = 0;
    bool is_reporting_ = false;
    bool is_waiting_ = false;  ///< publish() answered so, and nothing was said since
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

Result<std::unique_ptr<relay::Publisher>> make_kafka_publisher(
    const asio::any_io_executor& executor,
    relay::Path path,
    const KafkaProperties& properties,
    std::shared_ptr<TopicLimits> limits,
    relay::PublisherEvents events,
    std::shared_ptr<KafkaTrouble> trouble
) {
    auto publisher = std::make_unique<KafkaPublisher>(
        executor, path, properties, std::move(limits), std::move(events), std::move(trouble)
    );
    TXS_CHECK(publisher->open());
    return publisher;
}

}  // namespace txstream::app
