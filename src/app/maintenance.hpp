#pragma once

#include "app/metrics.hpp"
#include "config/config.hpp"
#include "outbox/retention.hpp"
#include "pg/conn_info.hpp"
#include "pg/connection.hpp"
#include "runtime/wakeup.hpp"

#include <functional>
#include <memory>
#include <random>
#include <string_view>

namespace txstream::app {

/// Keeps the tables from growing: about once a minute it takes the steps of retention that are due.
/// On a session of its own. What fails is logged and counted, and tried again; delivery notices
/// nothing of it.
///
/// Belongs to the thread of its executor.
class Maintenance {
public:
    /// `is_reporter`: whether this relay reports the outbox as a whole.
    Maintenance(
        asio::any_io_executor executor,
        const Config& config,
        const Metrics& metrics,
        std::function<bool()> is_reporter
    );

    /// Until it is cancelled.
    Task<> run();
    /// As JobRunner::close().
    void close() { session_.reset(); }

private:
    Task<> first_report();
    Task<> round();
    Task<Result<>> drop();
    Task<Result<>> forget(std::string_view table);
    Task<Result<>> report();
    Task<Result<>> open();
    void failed(std::string_view task, const Error& error);
    std::chrono::milliseconds pause();

    asio::any_io_executor executor_;
    pg::ConnInfo conninfo_;
    outbox::Retention retention_;
    const Metrics& metrics_;
    std::function<bool()> is_reporter_;
    std::unique_ptr<pg::Connection> session_;
    runtime::Wakeup never_;  ///< to sleep by
    std::mt19937_64 random_{std::random_device{}()};
    bool is_locked_ = false;  ///< the outbox, at the last round
};

}  // namespace txstream::app
