#include "app/job_runner.hpp"

#include "app/session.hpp"
#include "operations/selection.hpp"
#include "telemetry/log.hpp"

#include <algorithm>
#include <utility>

namespace txstream::app {

namespace {

using namespace std::chrono_literals;

constexpr std::string_view kComponent = "jobs";
constexpr std::chrono::milliseconds kInterval{1000};
constexpr std::chrono::milliseconds kIntervalBusy{200};
constexpr std::chrono::milliseconds kPauseAfterFailure{2000};
// In one round; then it looks again which job is due, and how it stands.
constexpr int kStepsMax = 8;
constexpr std::chrono::seconds kOpenTimeout{10};
constexpr std::chrono::seconds kStatementTimeout{20};
// Letters that cannot be sent are looked for so often, and among so many.
constexpr std::chrono::seconds kFreeInterval{3};
constexpr std::size_t kFreeMax = 10'000;
constexpr std::string_view kQueryCanceled = "57014";

std::string settings() {
    return std::string("SET application_name = 'txstream jobs'; SET lock_timeout = '5s'; ") +
           outbox::kJobSettings;
}

}  // namespace

JobRunner::JobRunner(
    asio::any_io_executor executor,
    const Config& config,
    const Metrics& metrics,
    std::string name,
    std::function<bool()> is_reporter
)
    : executor_(executor),
      conninfo_(config.database.connect_info().observed_by(metrics.statements.observer())),
      metrics_(metrics),
      name_(std::move(name)),
      is_reporter_(std::move(is_reporter)),
      never_(executor) {
}

Task<> JobRunner::run() {
    // A relay that starts has more urgent things to do.
    co_await rest(kInterval);
    while (true) {
        const auto has_jobs = co_await round();
        if (has_jobs) {
            co_await rest(*has_jobs ? kIntervalBusy : kInterval);
            continue;
        }
        if (has_jobs.error().code() != Code::cancelled)
            log::warn(
                kComponent,
                "cannot look after jobs; trying again",
                {{"error", has_jobs.error().what()}, {"error_type", has_jobs.error().origin()}}
            );
        co_await rest(kPauseAfterFailure);
    }
}

// Relays that started together look one after the other.
Task<> JobRunner::rest(std::chrono::milliseconds time) {
    const std::chrono::duration<double, std::milli> spread =
        time * std::uniform_real_distribution<double>(0.8, 1.2)(random_);
    co_await never_.wait(
        Deadline::Clock::now() + std::chrono::round<Deadline::Clock::duration>(spread)
    );
}

Task<Result<bool>> JobRunner::round() {
    TXS_CO_CHECK(
        co_await ensure_open(session_, executor_, conninfo_, settings(), Deadline::in(kOpenTimeout))
    );
    TXS_CO_TRY(
        const auto open, co_await outbox::end_jobs(*session_, Deadline::in(kStatementTimeout))
    );
    if (is_reporter_()) metrics_.relay->outbox.report_jobs(open);
    if (open == 0) co_return false;
    TXS_CO_CHECK(co_await free_stuck());
    bool is_due = true;
    for (int steps = 0; steps < kStepsMax && is_due; ++steps) {
        TXS_CO_TRY(is_due, co_await step());
    }
    co_return true;
}

Task<Result<>> JobRunner::free_stuck() {
    if (Deadline::Clock::now() < free_at_) co_return Result<>();
    free_at_ = Deadline::Clock::now() + kFreeInterval;
    TXS_CO_TRY(
        const auto parked,
        co_await outbox::park_stuck(*session_, kFreeMax, Deadline::in(kStatementTimeout))
    );
    if (parked > 0)
        log::info(
            kComponent,
            "parked dead letters again that stand behind a refused one of their key",
            {{"events", parked}}
        );
    co_return Result<>();
}

Task<Result<bool>> JobRunner::step() {
    outbox::JobLimits limits;
    limits.step = size_.get();
    TXS_CO_TRY(
        auto due, co_await outbox::due_job(*session_, limits, Deadline::in(kStatementTimeout))
    );
    if (!due) co_return false;
    if (auto taken = co_await take(*due); !taken) {
        TXS_CO_CHECK(co_await failed(*due, taken.error()));
        // Another one may be due, but not this one again at once.
        co_return false;
    }
    size_.was_in_time();
    co_return true;
}

Task<Result<>> JobRunner::take(outbox::DueJob job) {
    TXS_CO_TRY(auto letters, operations::parse_target(job.selection));
    const auto decision = job.decision;
    TXS_CO_TRY(
        const auto step,
        co_await outbox::take_step(
            *session_, std::move(job), std::move(letters), name_, Deadline::in(kStatementTimeout)
        )
    );
    metrics_.relay->outbox.decided(decision, step.decided);
    co_return Result<>();
}

// Gives the error back where the next round is to begin anew.
Task<Result<>> JobRunner::failed(const outbox::DueJob& job, const Error& error) {
    if (error.origin() == kQueryCanceled) {
        size_.was_too_long();
        log::warn(
            kComponent,
            "a step of a job took too long; the next one takes fewer events",
            {{"job", job.id}, {"events", size_.get()}, {"error", error.what()}}
        );
        co_return Result<>();
    }
    if (!session_->is_open() || error.retryable() || error.code() == Code::timed_out ||
        error.code() == Code::cancelled)
        co_return tl::unexpected<Error>(error);
    log::error(
        kComponent,
        "a job cannot go on, and has ended; decide anew about the rest",
        {{"job", job.id}, {"error", error.what()}, {"error_type", error.origin()}}
    );
    co_return co_await outbox::fail_job(
        *session_, job.id, error.what(), Deadline::in(kStatementTimeout)
    );
}

}  // namespace txstream::app
