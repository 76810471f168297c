#include "app/console_app.hpp"

#include "app/descriptors.hpp"
#include "app/detail/http_common.hpp"
#include "app/kafka_publisher.hpp"
#include "app/migrations.hpp"
#include "app/orders_port.hpp"
#include "base/embedded_file.hpp"
#include "http/access.hpp"
#include "http/assets.hpp"
#include "http/tls.hpp"
#include "telemetry/log.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <memory>
#include <span>
#include <utility>

namespace txstream::app {

namespace embedded {
std::span<const base::EmbeddedFile> page_files();
}

namespace {

constexpr const char* kProbeSettings = "SET application_name = 'txstream console'";

http::Limits limits() {
    http::Limits limits;
    limits.connections_max = kConsoleConnectionsMax;
    limits.refused_connections_max = kConsoleRefusedMax;
    limits.body_bytes_max = std::size_t{64} << 10;
    limits.buffer_bytes_max = std::size_t{32} << 20;
    // 20 live tails, which refuse one more themselves, and exports.
    limits.streams_max = 32;
    return limits;
}

http::Options options_of(const Config::Console& console, http::Access& access, http::Tls* tls) {
    http::Admission::Rules rules;
    rules.only_json = true;
    rules.checks_hosts = true;
    rules.hosts = console.allowed_hosts;
    rules.pages = http::Admission::Pages::proof_needed;
    rules.origins = console.origins;
    rules.hosts_setting = "CONSOLE_ALLOWED_HOSTS";
    rules.origins_setting = "CONSOLE_ORIGINS";
    return {
        .admission = http::Admission(std::move(rules)),
        .access = &access,
        .tls = tls,
        // With CONSOLE_INSECURE and without tokens, a proxy has asked who it is.
        .anonymous = console.tokens_file.empty() ? http::Role::viewer : http::Role::none,
        .most = console.is_read_only ? http::Role::viewer : http::Role::operator_,
        .problems = http::Problems::details,
        .headers = http::page_headers(),
    };
}

/// None where the console speaks plain HTTP.
Result<std::unique_ptr<http::Tls>> tls_of(const Config::Console& console) {
    if (console.tls_certificate_file.empty()) return nullptr;
    auto opened = http::Tls::open(
        {console.tls_certificate_file, console.tls_key_file},
        [](std::string_view what) { log::error("console", what); }
    );
    if (opened) return opened;
    return tl::unexpected(
        std::move(opened).error().while_doing("CONSOLE_TLS_CERT_FILE, CONSOLE_TLS_KEY_FILE")
    );
}

http::Tokens tokens_of(const Config::Console& console) {
    http::Tokens tokens({}, [](std::string_view what) { log::error("console", what); });
    // The link is printed whenever the process is started, and may be read much later.
    if (!console.link_token.empty())
        tokens.accept_link(
            console.link_token,
            {"link", http::Role::operator_},
            http::Tokens::Clock::time_point::max()
        );
    return tokens;
}

console::Settings settings_of(const Config& config) {
    const auto& console = config.console;
    return {
        .environment = console.environment,
        .topic = config.kafka.topic,
        .brokers = config.kafka.brokers,
        .database_user = config.database.user,
        .message_bytes_max = config.kafka.message_bytes_max,
        .grafana_url = console.grafana_url,
        .trace_url = console.trace_url,
        .masks = console.masks,
        .refresh_floor_s = static_cast<unsigned>(console.refresh_floor.count()),
        .is_insecure = console.is_insecure,
        .is_development_broker = config.kafka.is_development_broker,
        .is_read_only = console.is_read_only,
        .migrations = migration_sets("outbox"),
    };
}

// Called on threads of the console; the configuration is only read.
std::function<Result<kafka::Properties>()> properties_of(const Config& config) {
    return [&kafka = config.kafka]() -> Result<kafka::Properties> {
        TXS_TRY(const auto renewed, kafka.renewed());
        return to_kafka(renewed.client);
    };
}

}  // namespace

class ConsoleApp::Impl {
public:
    explicit Impl(Dependencies dependencies)
        : owner_(std::move(dependencies.executor)),
          config_(dependencies.config),
          database_(config_.database.connect_info().observed_by(
              dependencies.metrics.statements.observer()
          )),
          probe_pool_(loop_.get_executor(), database_, kProbeSettings, {.connections_max = 1}),
          metrics_page_(loop_.get_executor(), dependencies.metrics.registry),
          health_({probe_pool_, metrics_page_, {}, false, "/metrics", {}, {}, http::Role::viewer}),
          tls_(tls_of(config_.console)),
          access_(tokens_of(config_.console)),
          console_(
              {loop_.get_executor(),
               database_,
               properties_of(config_),
               settings_of(config_),
               make_orders_port(),
               access_,
               dependencies.metrics.console}
          ),
          server_(
              loop_.get_executor(),
              router_,
              limits(),
              observer_of(dependencies.metrics.http, health_, nullptr),
              options_of(config_.console, access_, tls_ ? tls_->get() : nullptr)
          ),
          tasks_(loop_.get_executor()) {
        health_.add_routes(router_);
        console_.add_routes(router_);
        assets_.add_to(router_);
        router_.set_base_path(config_.console.base_path);
    }

    ~Impl() {
        if (thread_.joinable()) thread_.join();
    }

    Result<std::uint16_t> start() {
        const auto& console = config_.console;
        if (!tls_) return tl::unexpected(tls_.error());
        if (!console.tokens_file.empty()) {
            if (auto loaded = access_.tokens().load(console.tokens_file); !loaded)
                return tl::unexpected(std::move(loaded).error().while_doing("CONSOLE_TOKENS_FILE"));
        }
        auto port = server_.listen(console.host, console.port);
        if (!port) return tl::unexpected(naming("CONSOLE_PORT", port.error()));
        log::info("console", "listening", {{"host", console.host}, {"port", *port}});
        if (!assets_.is_built())
            log::warn(
                "console", "this binary has no page, only the API; make build makes it with Node"
            );
        thread_ = std::thread([this] {
            loop_.run();
            asio::post(owner_, [this] { ended_.cancel(); });
        });
        return *port;
    }

    std::optional<Deadline::Clock::time_point> silent_since() {
        using Clock = Deadline::Clock;
        if (!thread_.joinable()) return std::nullopt;
        if (const auto asked = asked_at_.load(); asked != 0)
            return Clock::time_point(Clock::duration(asked));
        asked_at_ = Clock::now().time_since_epoch().count();
        asio::post(loop_, [this] { asked_at_ = 0; });
        return std::nullopt;
    }

    void drain() {
        asio::post(loop_, [this] {
            health_.drain();
            server_.drain();
        });
    }

    Task<> stop(Deadline deadline) {
        if (!thread_.joinable()) co_return;
        asio::post(loop_, [this, deadline] { tasks_.spawn(end(deadline)); });
        co_await ended_.async_wait(asio::as_tuple(asio::use_awaitable));
        thread_.join();
    }

private:
    Task<> end(Deadline deadline) {
        co_await server_.stop(deadline);
        co_await console_.stop();
        probe_pool_.close();
        work_.reset();
    }

    asio::any_io_executor owner_;
    const Config& config_;
    /// On the owner's executor; never expires, cancelled when the thread has nothing left to do.
    asio::steady_timer ended_{owner_, asio::steady_timer::time_point::max()};
    asio::io_context loop_{1};
    asio::executor_work_guard<asio::io_context::executor_type> work_{loop_.get_executor()};
    pg::ConnInfo database_;
    pg::Pool probe_pool_;
    MetricsPage metrics_page_;
    Health health_;
    http::Assets assets_{embedded::page_files(), config_.console.base_path};
    http::Router router_;
    Result<std::unique_ptr<http::Tls>> tls_;
    http::Access access_;
    console::Console console_;
    http::Server server_;
    runtime::TaskGroup tasks_;
    /// When its thread was asked whether it goes on; 0: it has answered.
    std::atomic<Deadline::Clock::rep> asked_at_{0};
    std::thread thread_;
};

ConsoleApp::ConsoleApp(Dependencies dependencies)
    : impl_(std::make_unique<Impl>(std::move(dependencies))) {
}
ConsoleApp::~ConsoleApp() = default;

Result<std::uint16_t> ConsoleApp::start() {
    return impl_->start();
}

std::optional<Deadline::Clock::time_point> ConsoleApp::silent_since() {
    return impl_->silent_since();
}

void ConsoleApp::drain() {
    impl_->drain();
}

Task<> ConsoleApp::stop(Deadline deadline) {
    return impl_->stop(deadline);
}

}  // namespace txstream::app
