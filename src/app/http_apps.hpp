#pragma once

#include "app/delivery_statement.hpp"
#include "app/health.hpp"
#include "app/metrics.hpp"
#include "config/config.hpp"
#include "http/server.hpp"
#include "orders/orders_api.hpp"
#include "pg/pool.hpp"
#include "runtime/task_group.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

namespace txstream::app {

/// The orders API as a service: pool, routes, server. Belongs to the thread of its executor.
class ApiApp {
public:
    struct Dependencies {
        asio::any_io_executor executor;
        const Config& config;
        const Metrics& metrics;
        MetricsPage& metrics_page;
        std::function<void()> refresh_metrics;  ///< of the whole process
        std::size_t connections_max;
        std::function<void()> orders_committed;         ///< may be empty; once for each batch
        std::function<RelayHealth()> relay;             ///< of this process; may be empty
        std::function<std::size_t()> record_bytes_max;  ///< what Kafka takes, as far as we know
        const telemetry::Tracer* tracer = nullptr;      ///< may be none
    };

    explicit ApiApp(Dependencies dependencies);

    /// Fails when the database cannot be used as it is, or the port is taken. Returns the port.
    Task<Result<std::uint16_t>> start(Deadline deadline);
    void drain() {
        health_.drain();
        server_.drain();
    }
    Task<> stop(Deadline deadline);
    void refresh_metrics() const;

private:
    Dependencies dependencies_;
    pg::Pool pool_;
    orders::OrderWriter writer_;
    DeliveryStatement delivery_;
    orders::OrdersApi orders_;
    Health health_;
    http::Router router_;
    http::Server server_;
    runtime::TaskGroup tasks_;
};

/// Health and metrics of a relay process, on METRICS_PORT.
class OpsApp {
public:
    struct Dependencies {
        asio::any_io_executor executor;
        const Config& config;
        const Metrics& metrics;
        MetricsPage& metrics_page;
        std::function<void()> refresh_metrics;  ///< of the whole process
        std::size_t connections_max;
        std::function<RelayHealth()> relay;
    };

    explicit OpsApp(Dependencies dependencies);

    Task<Result<std::uint16_t>> start();
    void drain() {
        health_.drain();
        server_.drain();
    }
    Task<> stop(Deadline deadline);

private:
    Dependencies dependencies_;
    pg::Pool pool_;
    Health health_;
    http::Router router_;
    http::Server server_;
};

}  // namespace txstream::app
