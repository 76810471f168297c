#pragma once

#include "app/metrics.hpp"
#include "config/config.hpp"
#include "outbox/jobs.hpp"
#include "pg/conn_info.hpp"
#include "pg/connection.hpp"
#include "runtime/wakeup.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>

namespace txstream::app {

/// How many letters a step takes: half as many after each that took too long, and more again after
/// those that did not. Pure.
class StepSize {
public:
    static constexpr std::size_t kMin = 50;

    explicit StepSize(std::size_t max) : max_(max), now_(max) {}
    std::size_t get() const noexcept { return now_; }
    void was_too_long() { now_ = std::max(kMin, now_ / 2); }
    void was_in_time() { now_ = std::min(max_, now_ + now_ / 4 + 1); }

private:
    std::size_t max_;
    std::size_t now_;
};

/// Takes the steps of jobs that are due (outbox/jobs.hpp), each second, while there is a job five
/// times as often. On a session of its own, and in no transaction between two statements: how far a
/// job is stands in its row, so any relay goes on where another one ended.
///
/// What fails for now is logged and tried again; a job whose step can never work ends with the
/// error.
///
/// Belongs to the thread of its executor.
class JobRunner {
public:
    /// `name`: of this relay. `is_reporter`: whether it reports the outbox as a whole.
    JobRunner(
        asio::any_io_executor executor,
        const Config& config,
        const Metrics& metrics,
        std::string name,
        std::function<bool()> is_reporter
    );

    /// Until it is cancelled, which closes the session at once.
    Task<> run();
    /// After run() has ended: closes its session, which else keeps the event loop from ending.
    void close() { session_.reset(); }

private:
    Task<> rest(std::chrono::milliseconds time);
    /// Whether there are jobs.
    Task<Result<bool>> round();
    /// Whether one was due.
    Task<Result<bool>> step();
    Task<Result<>> take(outbox::DueJob job);
    Task<Result<>> failed(const outbox::DueJob& job, const Error& error);
    Task<Result<>> free_stuck();

    asio::any_io_executor executor_;
    pg::ConnInfo conninfo_;
    const Metrics& metrics_;
    std::string name_;
    std::function<bool()> is_reporter_;
    std::unique_ptr<pg::Connection> session_;
    runtime::Wakeup never_;  ///< to sleep by
    StepSize size_{outbox::JobLimits().step};
    Deadline::Clock::time_point free_at_{};
    std::mt19937_64 random_{std::random_device{}()};
};

}  // namespace txstream::app
