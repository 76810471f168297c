#include "app/relay_app.hpp"

#include "app/kafka_publisher.hpp"
#include "app/migrations.hpp"
#include "app/pg_ports.hpp"
#include "app/session.hpp"
#include "kafka/admin.hpp"
#include "kafka/property_check.hpp"
#include "outbox/backlog.hpp"
#include "outbox/lane_store.hpp"
#include "outbox/reader.hpp"
#include "outbox/structure.hpp"
#include "pg/connection.hpp"
#include "telemetry/log.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>
#include <unistd.h>
#include <utility>

namespace txstream::app {

namespace {

constexpr std::string_view kComponent = "relay";
constexpr std::chrono::seconds kBacklogInterval{2};
constexpr std::chrono::seconds kBacklogTimeout{60};
constexpr std::chrono::seconds kBacklogOpenTimeout{5};
constexpr unsigned kBacklogFailures = 2;
// The structure of the outbox is looked at each fifth time.
constexpr unsigned kLooksPerStructure = 5;
constexpr int kMergeStepsPerLook = 4;
constexpr std::string_view kLockNotAvailable = "55P03";
constexpr std::chrono::seconds kStructureStopTimeout{2};
// Of a process that ends; without the database its row stays, and tells of a silent relay.
constexpr std::chrono::milliseconds kLeaveTimeout{500};
// One attempt; short, since stopping waits for it.
constexpr std::chrono::milliseconds kTopicTimeout{2000};
constexpr std::chrono::milliseconds kTopicPause{500};

std::string process_name() {
    std::array<char, 256> host{};
    if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
    // The number of a process is given again, on other machines at the same time even.
    return fmt::format("{}:{}:{:08x}", host.data(), getpid(), std::random_device{}());
}

// The development broker cannot be asked.
TopicLimits::Look topic_look(const Config& config) {
    if (config.kafka.is_development_broker) return nullptr;
    return [&kafka = config.kafka](const std::vector<std::string>& topics) {
        const auto now = kafka.renewed();
        if (!now)
            return std::vector<Result<kafka::TopicConfig>>(
                topics.size(), tl::unexpected<Error>(now.error())
            );
        return kafka::describe_topics(
            to_kafka(now->client), topics, Deadline::in(kTopicTimeout), kafka_log()
        );
    };
}

}  // namespace

/// Looks the topic up, and creates it where it is missing, until that has worked; and again when no
/// record shows whether Kafka is there. On a thread of its own, since librdkafka's admin interface
/// blocks.
class RelayApp::TopicWatch {
public:
    TopicWatch(
        asio::any_io_executor executor,
        const Config::Kafka& config,
        std::shared_ptr<KafkaTrouble> trouble,
        relay::Blockages& blockages,
        std::function<void()> found
    )
        : executor_(std::move(executor)),
          config_(config),
          trouble_(std::move(trouble)),
          blockages_(blockages),
          found_(std::move(found)) {
        thread_ = std::thread([this] { run(); });
    }
    ~TopicWatch() {
        {
            const std::scoped_lock lock(mutex_);
            is_stopping_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }

    /// What was found; nothing yet.
    std::optional<kafka::TopicFacts> facts() const {
        const std::scoped_lock lock(mutex_);
        return facts_;
    }

    /// Why it was not found at once; empty when it was.
    relay::DelayReason was_missing() const {
        const std::scoped_lock lock(mutex_);
        return was_missing_;
    }

    /// Is Kafka there? Thread-safe.
    void doubt() {
        {
            const std::scoped_lock lock(mutex_);
            is_in_doubt_ = true;
        }
        changed_.notify_all();
    }

private:
    void run() {
        std::string told;
        std::unique_lock lock(mutex_);
        while (!is_stopping_) {
            is_in_doubt_ = false;
            lock.unlock();
            auto facts = look();
            lock.lock();
            if (facts) {
                trouble_->is_over();
                told.clear();
                for (const auto blockage : kTold) blockages_.clear(kOwner, blockage);
                if (!std::exchange(facts_, *facts)) asio::post(executor_, found_);
                changed_.wait(lock, [this] { return is_stopping_ || is_in_doubt_; });
                continue;
            }
            const bool is_away = facts.error().retryable();
            if (!facts_) was_missing_ = relay::header_word(kTold[is_away ? 0 : 1]);
            blockages_.set(kOwner, kTold[is_away ? 0 : 1], facts.error().what());
            blockages_.clear(kOwner, kTold[is_away ? 1 : 0]);
            (void)trouble_->happened(facts.error());  // logged below
            if (facts.error().what() != told) {
                told = facts.error().what();
                log::warn(
                    kComponent,
                    "the topic cannot be used yet; events wait in their table",
                    {{"topic", config_.topic},
                     {"error", told},
                     {"error_type", facts.error().origin()}}
                );
            }
            changed_.wait_for(lock, kTopicPause, [this] { return is_stopping_; });
        }
    }

    Result<kafka::TopicFacts> look() const {
        if (config_.is_development_broker)
            return kafka::TopicFacts{config_.topic_partitions, false, {}};
        TXS_TRY(const auto now, config_.renewed());
        return kafka::ensure_topic(
            to_kafka(now.client),
            config_.topic,
            config_.topic_partitions,
            config_.topic_replication_factor,
            Deadline::in(kTopicTimeout),
            kafka_log()
        );
    }

    asio::any_io_executor executor_;
    const Config::Kafka& config_;
    std::shared_ptr<KafkaTrouble> trouble_;
    static constexpr auto kOwner = relay::Blockages::kOwner;
    static constexpr std::array kTold{
        relay::Blockage::kafka_unavailable, relay::Blockage::topic_missing
    };
    relay::Blockages& blockages_;
    std::function<void()> found_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool is_stopping_ = false;                // guarded by mutex_
    bool is_in_doubt_ = false;                // guarded by mutex_
    std::optional<kafka::TopicFacts> facts_;  // guarded by mutex_
    relay::DelayReason was_missing_;          // guarded by mutex_
    std::thread thread_;
};

RelayApp::RelayApp(
    asio::any_io_executor executor,
    const Config& config,
    const Metrics& metrics,
    const telemetry::Tracer* tracer
)
    : executor_(executor),
      config_(config),
      metrics_(metrics),
      tracer_(tracer),
      tasks_(executor),
      background_(executor),
      topic_wakeup_(executor),
      backlog_wakeup_(executor),
      blockages_([this](relay::Blockage blockage, bool is_blocked) {
          metrics_.relay->relay.delivery_blocked(blockage, is_blocked);
          // It is written down at once.
          asio::post(executor_, [this] { backlog_wakeup_.notify(); });
      }),
      reporter_(config, process_name(), metrics.relay->relay),
      maintenance_(executor, config, metrics, [this] { return is_reporter_; }),
      jobs_(executor, config, metrics, reporter_.name(), [this] { return is_reporter_; }) {
}

RelayApp::~RelayApp() = default;

Task<Result<>> RelayApp::start(Deadline deadline) {
    TXS_CO_CHECK(kafka::check_properties(to_kafka(config_.kafka.producer)));
    TXS_CO_TRY(
        auto connection,
        co_await pg::Connection::open(executor_, config_.database.connect_info(), {}, deadline)
    );
    TXS_CO_CHECK(co_await pg::check_schema(*connection, migration_sets("outbox"), deadline));
    TXS_CO_TRY(const auto snapshot, co_await outbox::current_snapshot(*connection, deadline));
    TXS_CO_TRY(lanes_, co_await outbox::lane_count(*connection, deadline));
    if (lanes_ == 0) {
        co_return fail(
            Code::corrupt, "txstream.lanes is empty; it must have the rows its migration made"
        );
    }
    metrics_.relay->relay.worker_pool_size.set(static_cast<double>(config_.relay.workers));
    metrics_.relay->relay.lease_seconds.set(
        std::chrono::duration<double>(config_.relay.lease).count()
    );
    metrics_.relay->relay.expect(config_.kafka.topic, "OrderCreated");
    topic_ = std::make_unique<TopicWatch>(
        executor_, config_.kafka, kafka_trouble_, blockages_, [this] { topic_wakeup_.notify(); }
    );
    tasks_.spawn(run_when_topic_is_there());
    tasks_.spawn(measure_backlog());
    background_.spawn(maintenance_.run());
    background_.spawn(jobs_.run());
    co_return Result<>();
}

Task<> RelayApp::run_when_topic_is_there() {
    while (!is_stopping_ && !topic_->facts())
        co_await topic_wakeup_.wait(Deadline::Clock::time_point::max());
    if (is_stopping_) co_return;
    const auto facts = *topic_->facts();
    limits_ = std::make_shared<TopicLimits>(config_.kafka.message_bytes_max, topic_look(config_));
    if (facts.config) limits_->put(config_.kafka.topic, *facts.config, Deadline::Clock::now());
    log::info(
        kComponent,
        facts.created ? "created the topic" : "found the topic",
        {{"topic", config_.kafka.topic},
         {"partitions", facts.partitions},
         {"message_bytes_max", limits_->batch_bytes_max()}}
    );
    delayed_before_ = topic_->was_missing();
    start_pool();
    if (config_.kafka.dead_letter_topic.empty()) co_return;
    // Limits of its own: of a topic with small batches the others' records take no notice.
    dead_letter_topic_ = std::make_unique<DeadLetterTopic>(
        executor_,
        config_,
        metrics_,
        producer_properties(),
        std::make_shared<TopicLimits>(config_.kafka.message_bytes_max, topic_look(config_)),
        [this] { return pool_ ? pool_->lanes() : std::vector<LaneId>(); }
    );
    tasks_.spawn(dead_letter_topic_->run());
}

KafkaProperties RelayApp::producer_properties() const {
    return [&kafka = config_.kafka]() -> Result<kafka::Properties> {
        TXS_TRY(const auto now, kafka.renewed());
        return to_kafka(now.producer);
    };
}

void RelayApp::start_pool() {
    pool_ = std::make_unique<relay::WorkerPool>(
        pool_options(lanes_), ports(), blockages_, metrics_.relay->relay
    );
    pool_->start();
}

relay::WorkerPool::Options RelayApp::pool_options(std::size_t lanes) const {
    const auto& relay = config_.relay;
    relay::WorkerPool::Options options;
    options.lanes = relay.lanes_max == 0 ? lanes : std::min(lanes, relay.lanes_max);
    options.workers = std::min(relay.workers, options.lanes);
    options.name = reporter_.name();
    options.breaker = config_.breaker;
    options.worker.delayed_before = delayed_before_;
    auto& worker = options.worker;
    worker.topic = config_.kafka.topic;
    worker.skip = relay::SkipPolicy(config_.relay.skip_topics, config_.relay.skip_types);
    worker.copies = !config_.kafka.dead_letter_topic.empty();
    worker.tracing = tracing();
    worker.seed = std::random_device{}();
    worker.gate.retry = config_.retry;
    worker.gate.publish_timeout = config_.kafka.publish_timeout;
    worker.gate.probe_timeout = config_.kafka.probe_timeout;
    worker.delivery.attempts_max = static_cast<int>(relay.refused_retries_max) + 1;
    worker.delivery.in_flight_bytes_max = relay.in_flight_bytes_max;
    worker.delivery.refused_retry_delay = relay.refused_retry_delay;
    worker.delivery.topics.retry_delay = relay.topic_retry_delay;
    worker.replay.topic_retry_delay = relay.topic_retry_delay;
    worker.delivery.topics.patience = relay.topic_patience;
    worker.limits.lease = relay.lease;
    worker.limits.stands_by = relay.stands_by;
    // What is larger by payload and metadata alone, no setting of a topic's lets through.
    worker.limits.page = {
        relay.page_rows_max,
        relay.page_bytes_max,
        config_.kafka.message_bytes_max + outbox::kSmallTextsBytesMax
    };
    worker.replay.letters = {
        worker.limits.page.rows, worker.limits.page.bytes, worker.limits.page.event_bytes
    };
    worker.replay.attempts_max = worker.delivery.attempts_max;
    worker.limits.poll_min = relay.poll_min;
    worker.limits.poll_max = relay.poll_max;
    worker.limits.claim_interval =
        std::min<std::chrono::milliseconds>(worker.limits.claim_interval, relay.lease / 4);
    return options;
}

relay::SendTracing RelayApp::tracing() const {
    relay::SendTracing tracing;
    tracing.tracer = tracer_;
    if (const auto found = config_.kafka.client.find("client.id");
        found != config_.kafka.client.end())
        tracing.client_id = found->second;
    const auto& brokers = config_.kafka.brokers;
    const auto colon = brokers.rfind(':');
    if (colon == std::string::npos || brokers.find(',') != std::string::npos) return tracing;
    std::int64_t port = 0;
    const auto* const end = brokers.data() + brokers.size();
    if (std::from_chars(brokers.data() + colon + 1, end, port).ptr != end) return tracing;
    tracing.server_address = brokers.substr(0, colon);
    tracing.server_port = port;
    return tracing;
}

relay::Ports RelayApp::ports() {
    relay::Ports ports;
    const auto conninfo = connect_info();
    ports.source = [conninfo](asio::any_io_executor executor) {
        return make_pg_event_source(std::move(executor), conninfo);
    };
    ports.keeper = [conninfo](asio::any_io_executor executor, std::string owner) {
        return make_pg_lane_keeper(std::move(executor), conninfo, std::move(owner));
    };
    ports.publisher =
        [properties = producer_properties(), limits = limits_, trouble = kafka_trouble_](
            asio::any_io_executor executor, relay::Path path, relay::PublisherEvents events
        ) {
            return make_kafka_publisher(
                executor, path, properties, limits, std::move(events), trouble
            );
        };
    ports.kafka_doubted = [this] { topic_->doubt(); };
    // Who reports the outbox depends on them.
    ports.lanes_changed = [this] { asio::post(executor_, [this] { backlog_wakeup_.notify(); }); };
    return ports;
}

Task<> RelayApp::measure_backlog() {
    using relay::Blockage;
    constexpr auto kOwner = relay::Blockages::kOwner;
    auto& connection = backlog_session_;
    outbox::BacklogMeter meter;
    unsigned failures = 0;
    unsigned looks = 0;
    while (!is_stopping_) {
        Result<> measured;
        if (!connection || !connection->is_open()) {
            measured = co_await open_backlog_session(Deadline::in(kBacklogOpenTimeout));
            meter.forget();  // the server may have crashed; see relay::Delivery about trust
        }
        if (connection) measured = co_await measure_backlog_once(*connection, meter);
        if (connection && measured && looks++ % kLooksPerStructure == 0) {
            measured = co_await look_at_structure(*connection);
            if (measured) measured = co_await report_sizes(*connection);
            if (measured && is_reporter_) co_await merge_positions(*connection);
        }
        if (measured) {
            failures = 0;
            blockages_.clear(kOwner, Blockage::database_unavailable);
        } else {
            // Without it events that wait go unnoticed.
            log::warn(
                kComponent, "cannot measure the backlog", {{"error", measured.error().what()}}
            );
            const bool is_locked = measured.error().origin() == kLockNotAvailable;
            if (!is_locked && ++failures >= kBacklogFailures)
                blockages_.set(kOwner, Blockage::database_unavailable, measured.error().what());
        }
        look_at_workers();
        // Without the database the lanes are lost, and a relay elsewhere may have it.
        (void)look_at_reporter();
        if (!measured) backlog_.reset();
        if (!is_stopping_ && connection && connection->is_open())
            co_await reporter_.report(*connection, state());
        if (!is_stopping_) co_await backlog_wakeup_.wait(Deadline::Clock::now() + kBacklogInterval);
    }
}

// A step is some tens of milliseconds; the next look at the backlog goes on.
Task<> RelayApp::merge_positions(pg::Connection& connection) {
    const auto deadline = Deadline::in(kBacklogTimeout);
    Result<bool> is_more = true;
    for (int steps = 0; steps < kMergeStepsPerLook && is_more && *is_more; ++steps)
        is_more = co_await merger_.step(connection, deadline);
    metrics_.relay->outbox.merged(merger_.merged());
    if (!is_more) {
        log::warn(
            kComponent,
            "cannot merge old rows of txstream.positions",
            {{"error", is_more.error().what()}}
        );
    }
}

Task<Result<>> RelayApp::open_backlog_session(Deadline deadline) {
    auto settings = std::string(outbox::kReaderSettings).append(kLockTimeout) +
                    "SET application_name = 'txstream backlog'";
    return ensure_open(backlog_session_, executor_, connect_info(), std::move(settings), deadline);
}

Task<Result<>> RelayApp::measure_backlog_once(
    pg::Connection& connection, outbox::BacklogMeter& meter
) {
    TXS_CO_TRY(backlog_, co_await meter.measure(connection, Deadline::in(kBacklogTimeout)));
    const auto& backlog = *backlog_;
    report(backlog);
    const bool stalls = stall_.observe(Deadline::Clock::now(), backlog.pending, backlog.settled);
    // One that stands by holds nothing up: whoever has the lanes says why.
    const bool is_standing_by = pool_ && pool_->status().lanes == 0;
    blockages_.set_unless_explained(
        stalls && !is_standing_by,
        relay::Blockages::kOwner,
        relay::Blockage::stalled,
        fmt::format("{} events wait", backlog.pending)
    );
    co_return Result<>();
}

bool RelayApp::look_at_reporter() {
    constexpr LaneId kFirstLane{0};
    const auto owned = pool_ ? pool_->lanes() : std::vector<LaneId>();
    const bool is_reporter = std::ranges::find(owned, kFirstLane) != owned.end();
    if (std::exchange(is_reporter_, is_reporter) && !is_reporter) metrics_.relay->outbox.withdraw();
    return is_reporter;
}

void RelayApp::report(const outbox::Backlog& backlog) {
    const auto owned = pool_ ? pool_->lanes() : std::vector<LaneId>();
    if (look_at_reporter()) metrics_.relay->outbox.report(backlog);
    const auto load = pool_ ? pool_->status() : relay::WorkerPool::Status();
    std::uint64_t unread = 0;
    for (const auto lane : owned) {
        const auto place = static_cast<std::size_t>(lane.value());
        if (place < backlog.pending_by_lane.size()) unread += backlog.pending_by_lane[place];
    }
    unread -= std::min(unread, load.events_in_flight);
    const auto& relay = metrics_.relay->relay;
    relay.reader_lag_events.set(static_cast<double>(unread));
    using Seconds = std::chrono::duration<double>;
    const double now = Seconds(std::chrono::system_clock::now().time_since_epoch()).count();
    const double read_up_to = load.read_up_to > 0
                                  ? Seconds(std::chrono::microseconds(load.read_up_to)).count()
                                  : backlog.oldest_pending;
    relay.reader_lag_seconds.set(
        unread > 0 && read_up_to > 0 ? std::max(0.0, now - read_up_to) : 0
    );
}

Task<Result<>> RelayApp::report_sizes(pg::Connection& connection) {
    if (!is_reporter_) co_return Result<>();
    TXS_CO_TRY(
        const auto sizes, co_await outbox::table_sizes(connection, Deadline::in(kBacklogTimeout))
    );
    metrics_.relay->outbox.report(sizes);
    TXS_CO_TRY(
        const auto members,
        co_await outbox::count_members(connection, Deadline::in(kBacklogTimeout))
    );
    metrics_.relay->outbox.report(members);
    co_return Result<>();
}

// What changes under the workers' sessions does not end them: a cursor must not pass what it cannot
// see.
Task<Result<>> RelayApp::look_at_structure(pg::Connection& connection) {
    constexpr auto kOwner = relay::Blockages::kOwner;
    auto checked = co_await outbox::check_structure(connection, Deadline::in(kBacklogTimeout));
    if (checked) {
        blockages_.clear(kOwner, relay::Blockage::outbox_unusable);
        if (limits_ && !pool_ && !is_stopping_) {
            delayed_before_ = relay::header_word(relay::Blockage::outbox_unusable);
            start_pool();
        }
        co_return checked;
    }
    if (checked.error().retryable()) co_return checked;
    blockages_.set(kOwner, relay::Blockage::outbox_unusable, checked.error().what());
    if (pool_) {
        co_await pool_->stop(Deadline::in(kStructureStopTimeout));
        // stop() may be waiting for the same.
        if (!is_stopping_) pool_.reset();
    }
    co_return Result<>();
}

// One look may fall between a session that is lost and the next.
void RelayApp::look_at_workers() {
    const bool are_dead = pool_ && pool_->status().alive == 0;
    blockages_.set_unless_explained(
        std::exchange(were_dead_, are_dead) && are_dead,
        relay::Blockages::kOwner,
        relay::Blockage::no_worker,
        "see the log"
    );
}

Task<> RelayApp::stop(Deadline deadline) {
    is_stopping_ = true;
    topic_wakeup_.notify();
    backlog_wakeup_.notify();
    // Another relay does it; a statement of these that lasts must not hold up what follows.
    background_.cancel();
    if (pool_) co_await pool_->stop(deadline);
    (void)co_await background_.join();
    jobs_.close();
    maintenance_.close();
    tasks_.cancel();               // a measurement under way, which nobody reads any more
    (void)co_await tasks_.join();  // none ends with an error
    dead_letter_topic_.reset();
    if (!std::exchange(has_left_, true)) co_await leave();
    pool_.reset();
    limits_.reset();
    topic_.reset();
}

Task<> RelayApp::leave() {
    if (!reporter_.has_reported()) co_return;
    const auto deadline = Deadline::in(kLeaveTimeout);
    if (!backlog_session_ || !backlog_session_->is_open()) {
        const auto opened = co_await open_backlog_session(deadline);
        if (!opened) co_return;
    }
    co_await reporter_.leave(*backlog_session_, deadline);
    backlog_session_.reset();
}

void RelayApp::nudge() {
    if (pool_) pool_->nudge();
}

std::size_t RelayApp::record_bytes_max() const {
    const auto limit =
        limits_ ? limits_->of(config_.kafka.topic, Deadline::Clock::now()) : std::nullopt;
    return limit ? limit->bytes_max : config_.kafka.message_bytes_max;
}

void RelayApp::refresh_metrics() const {
    const auto load = pool_ ? pool_->status() : relay::WorkerPool::Status();
    metrics_.relay->relay.in_flight_events.set(static_cast<double>(load.events_in_flight));
    metrics_.relay->relay.in_flight_bytes.set(static_cast<double>(load.bytes_in_flight));
    metrics_.relay->relay.events_aside.set(static_cast<double>(load.events_aside));
    metrics_.relay->relay.keys_aside.set(static_cast<double>(load.keys_aside));
    std::uint64_t waiting = 0;
    std::size_t closed = 0;
    for (const auto& topic : load.slow_topics) {
        if (!topic.is_closed) continue;
        ++closed;
        waiting += topic.events;
    }
    metrics_.relay->relay.events_waiting_for_topic.set(static_cast<double>(waiting));
    metrics_.relay->relay.closed_topics.set(static_cast<double>(closed));
    metrics_.relay->relay.careful_topics.set(static_cast<double>(load.slow_topics.size() - closed));
    metrics_.relay->relay.lease_remaining(
        load.publish_until ? std::optional(*load.publish_until - Deadline::Clock::now())
                           : std::nullopt
    );
}

pg::ConnInfo RelayApp::connect_info() const {
    return config_.database.connect_info().observed_by(metrics_.statements.observer());
}

RelayHealth RelayApp::health() const {
    RelayHealth health;
    health.kafka_trouble = kafka_trouble_->last();
    health.blocked = blockages_.current();
    if (!pool_) return health;
    const auto status = pool_->status();
    health.is_started = true;
    health.workers = status.workers;
    health.workers_alive = status.alive;
    health.lanes = status.lanes;
    health.breaker = status.breaker.state;
    health.due = status.due;
    return health;
}

RelayReporter::State RelayApp::state() const {
    RelayReporter::State state;
    state.blocked = blockages_.current();
    state.held = blockages_.held_lanes();
    state.backlog = backlog_ ? &*backlog_ : nullptr;
    state.is_reporter = is_reporter_;
    if (!pool_) return state;
    const auto status = pool_->status();
    state.lanes = pool_->lanes();
    state.workers = status.workers;
    state.workers_alive = status.alive;
    state.breaker = status.breaker;
    state.in_flight = status.events_in_flight;
    state.topics = status.slow_topics;
    return state;
}

}  // namespace txstream::app
