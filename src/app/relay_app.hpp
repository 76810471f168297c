#pragma once

#include "app/dead_letter_topic.hpp"
#include "app/job_runner.hpp"
#include "app/kafka_publisher.hpp"
#include "app/maintenance.hpp"
#include "app/metrics.hpp"
#include "app/relay_reporter.hpp"
#include "config/config.hpp"
#include "outbox/backlog.hpp"
#include "outbox/position_merger.hpp"
#include "relay/blockages.hpp"
#include "relay/delays.hpp"
#include "relay/stall_detector.hpp"
#include "relay/worker_pool.hpp"
#include "runtime/task_group.hpp"
#include "runtime/wakeup.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace txstream::app {

/// What others may know of the relay in this process.
struct RelayHealth {
    bool is_started = false;  ///< the topic is known and the workers run
    std::size_t workers = 0;
    std::size_t workers_alive = 0;
    std::size_t lanes = 0;
    policy::BreakerState breaker = policy::BreakerState::closed;
    std::optional<KafkaTrouble::Last> kafka_trouble;
    std::vector<relay::Blockages::Current> blocked;
    /// When the first of the workers' loops will be back; nothing: nothing is due.
    std::optional<Deadline::Clock::time_point> due;
};

/// The relay as a service: looks after the topic, runs the workers, measures the backlog.
///
/// Belongs to the thread of its executor.
class RelayApp {
public:
    /// `tracer` may be none.
    RelayApp(
        asio::any_io_executor executor,
        const Config& config,
        const Metrics& metrics,
        const telemetry::Tracer* tracer = nullptr
    );
    ~RelayApp();

    /// Fails when the database cannot be used as it is (schema, rights). Kafka need not be there:
    /// it is waited for.
    Task<Result<>> start(Deadline deadline);
    /// Drains. May be called twice, and without start().
    Task<> stop(Deadline deadline);

    void nudge();
    RelayHealth health() const;
    void refresh_metrics() const;
    /// The largest record that the default topic takes: KAFKA_MESSAGE_BYTES_MAX, or the topic's own
    /// limit once that is known and lower.
    std::size_t record_bytes_max() const;

private:
    class TopicWatch;

    Task<> run_when_topic_is_there();
    Task<> measure_backlog();
    Task<Result<>> measure_backlog_once(pg::Connection& connection, outbox::BacklogMeter& meter);
    Task<Result<>> open_backlog_session(Deadline deadline);
    Task<> merge_positions(pg::Connection& connection);
    Task<> leave();
    RelayReporter::State state() const;
    Task<Result<>> report_sizes(pg::Connection& connection);
    void report(const outbox::Backlog& backlog);
    bool look_at_reporter();
    Task<Result<>> look_at_structure(pg::Connection& connection);
    void look_at_workers();
    void start_pool();
    relay::WorkerPool::Options pool_options(std::size_t lanes) const;
    relay::Ports ports();
    relay::SendTracing tracing() const;
    KafkaProperties producer_properties() const;
    pg::ConnInfo connect_info() const;

    asio::any_io_executor executor_;
    const Config& config_;
    const Metrics& metrics_;
    const telemetry::Tracer* tracer_;
    runtime::TaskGroup tasks_;
    runtime::TaskGroup background_;  ///< what no stop waits for
    runtime::Wakeup topic_wakeup_;
    runtime::Wakeup backlog_wakeup_;
    std::shared_ptr<KafkaTrouble> kafka_trouble_ = std::make_shared<KafkaTrouble>();
    relay::Blockages blockages_;
    relay::StallDetector stall_;
    std::unique_ptr<TopicWatch> topic_;
    std::shared_ptr<TopicLimits> limits_;
    std::unique_ptr<relay::WorkerPool> pool_;
    RelayReporter reporter_;
    std::unique_ptr<pg::Connection> backlog_session_;
    outbox::PositionMerger merger_;
    Maintenance maintenance_;
    std::unique_ptr<DeadLetterTopic> dead_letter_topic_;  ///< with KAFKA_TOPIC_DEAD_LETTERS
    JobRunner jobs_;
    std::optional<outbox::Backlog> backlog_;  ///< at the last look, if it could be measured
    std::size_t lanes_ = 0;
    relay::DelayReason delayed_before_;  ///< what kept the workers from starting
    bool is_reporter_ = false;           ///< of the outbox as a whole, at the last look
    bool were_dead_ = false;             ///< all workers, at the last look
    bool is_stopping_ = false;
    bool has_left_ = false;  ///< its row is removed, or will never be
};

}  // namespace txstream::app
