#include "app/dead_letter_topic.hpp"

#include <utility>

namespace txstream::app {

namespace {

constexpr std::chrono::seconds kOpenTimeout{10};
constexpr std::chrono::seconds kStatementTimeout{30};
// The index of what is to be copied is walked, whatever the statistics say.
constexpr const char* kSettings =
    "SET application_name = 'txstream dead letters'; SET jit = off; SET enable_seqscan = off; "
    "SET enable_bitmapscan = off; SET synchronous_commit = off";

relay::LetterCopier::Limits limits_of(const Config& config) {
    relay::LetterCopier::Limits limits;
    // What is larger is sent without its value.
    limits.letters.event_bytes = config.kafka.message_bytes_max + outbox::kSmallTextsBytesMax;
    limits.confirm_max = config.kafka.publish_timeout;
    return limits;
}

}  // namespace

DeadLetterTopic::DeadLetterTopic(
    asio::any_io_executor executor,
    const Config& config,
    const Metrics& metrics,
    KafkaProperties properties,
    std::shared_ptr<TopicLimits> limits,
    std::function<std::vector<LaneId>()> lanes
)
    : executor_(executor),
      conninfo_(config.database.connect_info().observed_by(metrics.statements.observer())),
      lanes_(std::move(lanes)),
      copier_(
          {.executor = executor,
           .publisher =
               [properties = std::move(properties),
                limits = std::move(limits),
                trouble = std::make_shared<KafkaTrouble>(
                )](asio::any_io_executor on, relay::Path path, relay::PublisherEvents events) {
                   return make_kafka_publisher(
                       on, path, properties, limits, std::move(events), trouble
                   );
               },
           .read = [this](outbox::LetterLimit limit) { return read(limit); },
           .write = [this](std::vector<outbox::CopiedLetter> letters
                    ) { return write(std::move(letters)); },
           .metrics = metrics.relay->relay,
           .topic = config.kafka.dead_letter_topic,
           .default_topic = config.kafka.topic},
          limits_of(config)
      ) {
}

Task<Result<>> DeadLetterTopic::open() {
    if (session_ && session_->is_alive()) co_return Result<>();
    session_.reset();
    TXS_CO_TRY(
        session_,
        co_await pg::Connection::open(executor_, conninfo_, kSettings, Deadline::in(kOpenTimeout))
    );
    co_return Result<>();
}

Task<Result<outbox::LettersToCopy>> DeadLetterTopic::read(outbox::LetterLimit limit) {
    auto lanes = lanes_();
    if (lanes.empty()) co_return outbox::LettersToCopy();
    TXS_CO_CHECK(co_await open());
    co_return co_await outbox::letters_to_copy(
        *session_, std::move(lanes), limit, Deadline::in(kStatementTimeout)
    );
}

Task<Result<>> DeadLetterTopic::write(std::vector<outbox::CopiedLetter> letters) {
    TXS_CO_CHECK(co_await open());
    co_return co_await outbox::letters_copied(
        *session_, std::move(letters), Deadline::in(kStatementTimeout)
    );
}

}  // namespace txstream::app
