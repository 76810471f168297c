#include "app/maintenance.hpp"

#include "app/session.hpp"
#include "telemetry/log.hpp"

#include <algorithm>
#include <utility>

namespace txstream::app {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view kComponent = "retention";
constexpr std::chrono::milliseconds kInterval{60'000};
constexpr std::chrono::milliseconds kIntervalMin{500};
// Of a retention: what is shorter than some minutes wants to be looked after more often.
constexpr int kRoundsPerRetention = 10;
// Where the outbox is in use for long, the next try comes sooner.
constexpr int kTriesPerInterval = 6;
// Of an interval: how it stands is told so soon.
constexpr int kFirstReportPart = 12;
// In one round; what is left comes with the next.
constexpr int kStepsMax = 20;
constexpr std::chrono::seconds kOpenTimeout{10};
// Validating a bound reads a whole partition, and nobody waits for it.
constexpr std::chrono::minutes kStepTimeout{15};
constexpr std::chrono::seconds kStatementTimeout{60};

outbox::RetentionAges ages_of(const Config::Retention& retention) {
    return {
        .events = retention.events,
        .positions = retention.positions,
        .dead_letters = retention.dead_letters,
        .audit = retention.audit,
        .jobs = retention.jobs
    };
}

std::chrono::milliseconds interval_of(const outbox::RetentionAges& ages) {
    auto interval = kInterval;
    for (const auto age : {ages.events, ages.positions, ages.dead_letters, ages.audit, ages.jobs})
        if (age.count() > 0) interval = std::min(interval, age / kRoundsPerRetention);
    return std::max(interval, kIntervalMin);
}

}  // namespace

Maintenance::Maintenance(
    asio::any_io_executor executor,
    const Config& config,
    const Metrics& metrics,
    std::function<bool()> is_reporter
)
    : executor_(executor),
      conninfo_(config.database.connect_info().observed_by(metrics.statements.observer())),
      retention_(ages_of(config.retention)),
      metrics_(metrics),
      is_reporter_(std::move(is_reporter)),
      never_(executor) {
}

Task<> Maintenance::run() {
    // Relays start together, and have more urgent things to do than this; but whoever watches one
    // wants to know how it stands.
    co_await never_.wait(Deadline::Clock::now() + pause() / kFirstReportPart);
    co_await first_report();
    while (true) {
        co_await never_.wait(Deadline::Clock::now() + pause());
        co_await round();
    }
}

Task<> Maintenance::first_report() {
    auto done = co_await open();
    if (done) done = co_await report();
    if (!done) failed("session", done.error());
}

std::chrono::milliseconds Maintenance::pause() {
    const auto whole = interval_of(retention_.ages()) / (is_locked_ ? kTriesPerInterval : 1);
    const double factor = std::uniform_real_distribution<double>(0.8, 1.2)(random_);
    return std::chrono::round<std::chrono::milliseconds>(whole * factor);
}

Task<> Maintenance::round() {
    if (const auto opened = co_await open(); !opened) {
        failed("session", opened.error());
        co_return;
    }
    if (const auto done = co_await drop(); !done) failed("partitions", done.error());
    for (const auto table : outbox::Retention::kTables) {
        if (!session_->is_open()) co_return;
        if (const auto done = co_await forget(table); !done) failed(table, done.error());
    }
    if (!session_->is_open()) co_return;
    if (const auto done = co_await report(); !done) failed("session", done.error());
}

Task<Result<>> Maintenance::open() {
    return ensure_open(
        session_,
        executor_,
        conninfo_,
        "SET application_name = 'txstream retention'",
        Deadline::in(kOpenTimeout)
    );
}

Task<Result<>> Maintenance::drop() {
    using Action = outbox::Retention::Action;
    auto step = outbox::Retention::Step{.action = Action::made, .partitions = {}};
    for (int steps = 0; steps < kStepsMax && step.has_worked(); ++steps) {
        TXS_CO_TRY(step, co_await retention_.step(*session_, Deadline::in(kStepTimeout)));
        if (step.action != Action::dropped || step.partitions.empty()) continue;
        metrics_.relay->outbox.dropped();
        log::info(
            kComponent, "dropped old partitions of the outbox", {{"dropped", step.partitions}}
        );
    }
    is_locked_ = step.action == Action::locked;
    if (is_locked_) metrics_.relay->outbox.retention_failed("partitions");
    co_return Result<>();
}

Task<Result<>> Maintenance::forget(std::string_view table) {
    std::int64_t deleted = outbox::Retention::kRowsPerStep;
    for (int steps = 0; steps < kStepsMax && deleted >= outbox::Retention::kRowsPerStep; ++steps) {
        TXS_CO_TRY(
            deleted, co_await retention_.forget(*session_, table, Deadline::in(kStatementTimeout))
        );
        metrics_.relay->outbox.deleted(table, deleted);
    }
    co_return Result<>();
}

Task<Result<>> Maintenance::report() {
    if (!is_reporter_()) co_return Result<>();
    const auto age = retention_.ages().events;
    TXS_CO_TRY(
        const auto state,
        co_await outbox::read_retention(*session_, age, Deadline::in(kStatementTimeout))
    );
    // It may have become another one meanwhile.
    if (is_reporter_()) metrics_.relay->outbox.report(state, age);
    co_return Result<>();
}

void Maintenance::failed(std::string_view task, const Error& error) {
    if (error.code() == Code::cancelled) return;
    metrics_.relay->outbox.retention_failed(task);
    log::warn(
        kComponent,
        "retention failed; trying again",
        {{"task", task}, {"error", error.what()}, {"error_type", error.origin()}}
    );
}

}  // namespace txstream::app
