#pragma once

#include "app/metrics_page.hpp"
#include "app/relay_app.hpp"
#include "domain/json_writer.hpp"
#include "http/role.hpp"
#include "http/router.hpp"
#include "pg/pool.hpp"

#include <functional>
#include <optional>
#include <string>

namespace txstream::app {

/// Routes that tell how the process is: /livez, /readyz, /health, /ready, and the metrics.
///
/// Live: the process answers; nothing else is asked. Ready: the database can be used and the
/// process is not about to stop; for a relay also that its workers hold or look for lanes. Kafka
/// being away makes nothing unready: orders are taken and events wait.
///
/// The database is asked once a second at most, however often somebody asks us. Belongs to the
/// thread of the pool.
class Health {
public:
    struct Dependencies {
        pg::Pool& pool;
        MetricsPage& metrics;
        /// Of this process; empty: it has no relay.
        std::function<RelayHealth()> relay;
        /// Whether it is the relay whose readiness is asked for, and not the API's.
        bool is_relay = false;
        std::string metrics_path = "/metrics";
        /// Brings up to date what is only looked at when the metrics are asked for; may be empty.
        std::function<void()> refresh_metrics;
        /// Told at each look at the database; only where no relay is in this process, else empty.
        std::function<void(bool)> lanes_unowned;
        /// Who may read /health and the metrics. Whether it lives and is ready, anyone may know.
        http::Role least = http::Role::none;
    };

    explicit Health(Dependencies dependencies);

    void add_routes(http::Router& router);
    /// From now on: not ready.
    void drain() { is_draining_ = true; }

    /// A route that machines ask all the time.
    bool is_probe(std::string_view route) const;

private:
    struct Database {
        bool is_ok = false;
        std::string detail;
        /// Some lane has no owner; only looked at where no relay is in this process.
        std::optional<std::chrono::system_clock::time_point> unowned_since;
        Deadline::Clock::time_point checked_at{};
    };

    Task<http::Response> ready();
    Task<http::Response> health();
    Task<http::Response> metrics(http::Request request);
    Task<> look_at_database();
    bool is_relay_ready() const;
    std::string_view kafka_word() const;
    std::vector<relay::Blockages::Current> blocked() const;
    static void write_delivery(
        domain::JsonWriter& out, const std::vector<relay::Blockages::Current>& blocked
    );
    void write_kafka(domain::JsonWriter& out) const;

    Dependencies dependencies_;
    Database database_;
    bool is_looking_ = false;
    bool is_draining_ = false;
};

}  // namespace txstream::app
