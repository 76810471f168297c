#include "app/http_apps.hpp"

#include "app/detail/http_common.hpp"
#include "app/migrations.hpp"
#include "telemetry/log.hpp"

#include <utility>

namespace txstream::app {

namespace {

// lock_timeout: an order whose number another transaction holds holds up its batch for so long, and
// then once more when each is tried alone. Who is at work holds a number for milliseconds.
constexpr const char* kApiSettings =
    "SET application_name = 'txstream api'; SET lock_timeout = '100ms'";
constexpr const char* kOpsSettings = "SET application_name = 'txstream ops'";

http::Limits limits_of(const Config::Server& server, std::size_t connections_max) {
    http::Limits limits;
    limits.connections_max = connections_max;
    limits.buffer_bytes_max = server.buffer_bytes_max;
    limits.body_bytes_max = server.body_bytes_max;
    limits.header_bytes_max = server.header_bytes_max;
    limits.read_timeout = server.read_timeout;
    limits.write_timeout = server.write_timeout;
    limits.idle_timeout = server.idle_timeout;
    return limits;
}

// There is no login: what a browser sends for a page that is not ours must not count.
http::Admission admission_of(const Config::Server& server) {
    return http::Admission({.only_json = true, .checks_hosts = true, .hosts = server.allowed_hosts}
    );
}

// Empty where a relay of this process knows better.
std::function<void(bool)> teller_of(const std::optional<telemetry::Gauge>& lanes_unowned) {
    if (!lanes_unowned) return {};
    return [gauge = *lanes_unowned](bool are_unowned) { gauge.set(are_unowned ? 1 : 0); };
}

}  // namespace

ApiApp::ApiApp(Dependencies dependencies)
    : dependencies_(std::move(dependencies)),
      pool_(
          dependencies_.executor,
          dependencies_.config.database.connect_info().observed_by(
              dependencies_.metrics.statements.observer()
          ),
          kApiSettings,
          {.connections_max = dependencies_.config.database.connections_max}
      ),
      writer_(
          dependencies_.executor,
          pool_,
          dependencies_.metrics.api->orders,
          dependencies_.orders_committed,
          {.record_bytes_max = dependencies_.record_bytes_max},
          {dependencies_.tracer, dependencies_.config.database.name}
      ),
      delivery_(
          dependencies_.executor,
          pool_,
          dependencies_.relay,
          dependencies_.config.server.delayed_after
      ),
      orders_(pool_, writer_, [this]() -> const std::string& { return delivery_.text(); }),
      health_(
          {pool_,
           dependencies_.metrics_page,
           dependencies_.relay,
           false,
           "/metrics",
           dependencies_.refresh_metrics,
           teller_of(dependencies_.metrics.lanes_unowned)}
      ),
      server_(
          dependencies_.executor,
          router_,
          limits_of(dependencies_.config.server, dependencies_.connections_max),
          observer_of(dependencies_.metrics.http, health_, dependencies_.tracer),
          {.admission = admission_of(dependencies_.config.server)}
      ),
      tasks_(dependencies_.executor) {
    orders_.add_routes(router_);
    health_.add_routes(router_);
}

Task<Result<std::uint16_t>> ApiApp::start(Deadline deadline) {
    {
        TXS_CO_TRY(const auto session, co_await pool_.acquire(deadline));
        TXS_CO_CHECK(co_await pg::check_schema(*session, migration_sets(), deadline));
    }
    const auto& server = dependencies_.config.server;
    auto port = server_.listen(server.host, server.port);
    if (!port) co_return tl::unexpected(naming("SERVER_PORT", port.error()));
    tasks_.spawn(delivery_.run());
    log::info("api", "listening", {{"host", server.host}, {"port", *port}});
    co_return *port;
}

void ApiApp::refresh_metrics() const {
    dependencies_.metrics.api->orders.waiting.set(static_cast<double>(writer_.unanswered()));
    dependencies_.metrics.api->pool.show(pool_.stats());
}

Task<> ApiApp::stop(Deadline deadline) {
    co_await server_.stop(deadline);
    co_await writer_.stop();
    delivery_.stop();
    pool_.close();
    (void)co_await tasks_.join();  // it does not fail
}

OpsApp::OpsApp(Dependencies dependencies)
    : dependencies_(std::move(dependencies)),
      pool_(
          dependencies_.executor,
          dependencies_.config.database.connect_info().observed_by(
              dependencies_.metrics.statements.observer()
          ),
          kOpsSettings,
          {.connections_max = 1}
      ),
      health_(
          {pool_,
           dependencies_.metrics_page,
           dependencies_.relay,
           true,
           dependencies_.config.metrics.path,
           dependencies_.refresh_metrics,
           {}}
      ),
      server_(
          dependencies_.executor,
          router_,
          limits_of(dependencies_.config.server, dependencies_.connections_max),
          observer_of(dependencies_.metrics.http, health_, nullptr),
          {.admission = admission_of(dependencies_.config.server)}
      ) {
    health_.add_routes(router_);
}

Task<Result<std::uint16_t>> OpsApp::start() {
    const auto& metrics = dependencies_.config.metrics;
    auto port = server_.listen(metrics.host, metrics.port);
    if (!port) co_return tl::unexpected(naming("METRICS_PORT", port.error()));
    log::info("ops", "listening", {{"host", metrics.host}, {"port", *port}});
    co_return *port;
}

Task<> OpsApp::stop(Deadline deadline) {
    co_await server_.stop(deadline);
    pool_.close();
}

}  // namespace txstream::app
