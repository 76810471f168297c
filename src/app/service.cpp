#include "app/service.hpp"

#include "app/console_app.hpp"
#include "app/descriptors.hpp"
#include "app/http_apps.hpp"
#include "app/metrics.hpp"
#include "app/migrations.hpp"
#include "app/relay_app.hpp"
#include "app/service_manager.hpp"
#include "base/version.hpp"
#include "otlp/exporter.hpp"
#include "runtime/hard_stop.hpp"
#include "runtime/signals.hpp"
#include "runtime/task_group.hpp"
#include "telemetry/log.hpp"
#include "telemetry/semconv.hpp"
#include "telemetry/tracer.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace txstream::app {

namespace {

constexpr std::chrono::seconds kStartTimeout{30};
constexpr std::chrono::milliseconds kStartPause{250};
// For what ends at the deadline of a stop, and needs a moment to do so.
constexpr std::chrono::seconds kStopGrace{2};
constexpr int kOutOfTime = 7;
constexpr std::chrono::seconds kRepeatsInterval{1};

class Service {
public:
    Service(
        asio::io_context& loop, const Config& config, Roles roles, std::function<void(Listening)> up
    )
        : executor_(loop.get_executor()),
          config_(config),
          up_(std::move(up)),
          metrics_(roles),
          metrics_page_(executor_, metrics_.registry),
          signals_(executor_),
          hangups_(executor_),
          manager_(ServiceManager::environment()),
          telling_(executor_),
          ending_(executor_),
          stopping_(executor_, asio::steady_timer::time_point::max()) {
        const auto limit = raise_descriptor_limit();
        const auto plan = plan_descriptors(limit, config_, roles);
        if (roles.api && plan.api_connections < config_.server.connections_max)
            log::warn(
                "txstream",
                "fewer HTTP connections than SERVER_CONNECTIONS_MAX: the process may not have more "
                "descriptors; raise its limit (ulimit -n)",
                {{"connections", plan.api_connections},
                 {"descriptors", limit},
                 {"reserved", plan.reserved}}
            );
        start_traces();
        if (roles.relay) relay_.emplace(executor_, config_, metrics_, tracer());
        const auto relay_health =
            roles.relay ? std::function([this] { return relay_->health(); }) : nullptr;
        const auto refresh = [this] {
            if (api_) api_->refresh_metrics();
            if (relay_) relay_->refresh_metrics();
        };
        if (roles.api) {
            const auto nudge = roles.relay ? std::function([this] { relay_->nudge(); }) : nullptr;
            const auto record_bytes_max = [this] {
                return relay_ ? relay_->record_bytes_max() : config_.kafka.message_bytes_max;
            };
            api_.emplace(ApiApp::Dependencies{
                executor_,
                config_,
                metrics_,
                metrics_page_,
                refresh,
                plan.api_connections,
                nudge,
                relay_health,
                record_bytes_max,
                tracer()
            });
        }
        if (roles.console) console_.emplace(ConsoleApp::Dependencies{executor_, config_, metrics_});
        if (roles.relay && config_.metrics.enabled) {
            ops_.emplace(OpsApp::Dependencies{
                executor_,
                config_,
                metrics_,
                metrics_page_,
                refresh,
                kMetricsConnectionsMax,
                relay_health
            });
        }
    }

    Task<Result<>> run() {
        runtime::TaskGroup tasks(executor_);
        tasks.spawn(watch_signals());
        tasks.spawn(watch_hangups());
        tasks.spawn(count_repeated_lines());
        tasks.spawn(tell_service_manager());
        auto started = co_await start();
        if (started && !is_stopped_) {
            is_up_ = true;
            manager_.ready();
            tell_how_it_is();
            if (up_) up_(listening_);
            co_await stopping_.async_wait(asio::as_tuple(asio::use_awaitable));
        }
        co_await stop(started.has_value());
        signals_.cancel();
        hangups_.cancel();
        is_ended_ = true;
        ending_.cancel();
        telling_.cancel();
        (void)co_await tasks.join();  // watching does not fail
        // Told to stop while it waited for the database: that is no failure.
        if (is_stopped_ && !started && started.error().retryable()) co_return Result<>();
        co_return started;
    }

private:
    Task<Result<>> start() {
        const auto deadline = Deadline::in(kStartTimeout);
        log::info(
            "txstream",
            "starting",
            {{"version", version()},
             {"revision", revision()},
             {"database", config_.database.where()}}
        );
        // The cheap failures first: certificates that cannot be used, a taken port.
        TXS_CO_CHECK(traces_);
        if (ops_) {
            TXS_CO_TRY(listening_.metrics, co_await ops_->start());
        }
        // It tells why the others do not start.
        if (console_) {
            TXS_CO_TRY(listening_.console, console_->start());
        }
        if (api_ && relay_)
            TXS_CO_CHECK(co_await patiently([&] { return look_for_orders(deadline); }, deadline));
        if (api_ && !is_api_off_)
            TXS_CO_CHECK(co_await patiently([&] { return start_api(deadline); }, deadline));
        if (relay_)
            TXS_CO_CHECK(co_await patiently([&] { return relay_->start(deadline); }, deadline));
        co_return Result<>();
    }

    const telemetry::Tracer* tracer() const { return tracer_ ? &*tracer_ : nullptr; }

    void start_traces() {
        namespace semconv = telemetry::semconv;
        const auto& tracing = config_.tracing;
        if (!tracing.is_enabled) return;
        auto options = tracing.exporter;
        for (const auto& [name, value] :
             {std::pair(semconv::kServiceVersion, version()),
              std::pair(semconv::kSdkName, std::string_view("txstream")),
              std::pair(semconv::kSdkLanguage, std::string_view("cpp")),
              std::pair(semconv::kSdkVersion, version())})
            options.resource.emplace_back(name, value);
        const auto id = telemetry::TraceIds::random().trace_id();
        options.resource.emplace_back(semconv::kServiceInstanceId, telemetry::to_string(id));
        const auto counted = [this](otlp::Exporter::Outcome outcome, std::size_t spans) {
            const bool are_sent = outcome == otlp::Exporter::Outcome::sent;
            metrics_.traces.spans.at({are_sent ? "sent" : "dropped"})
                .add(static_cast<double>(spans));
        };
        auto made = otlp::Exporter::create(executor_, std::move(options), counted);
        if (!made) {
            traces_ = tl::unexpected<Error>(made.error());
            return;
        }
        exporter_ = std::move(*made);
        tracer_.emplace(
            telemetry::Sampler(tracing.sampling_ratio, tracing.is_sampling_parent_based), *exporter_
        );
        log::info(
            "traces",
            "traces are on",
            {{"endpoint", tracing.exporter.endpoint.url()},
             {"sampler", tracing.given.sampler},
             {"ratio", tracing.sampling_ratio}}
        );
    }

    Task<Result<>> start_api(Deadline deadline) {
        TXS_CO_TRY(listening_.api, co_await api_->start(deadline));
        co_return Result<>();
    }

    // A service with tables of its own adopts the outbox alone: its relay has to work.
    Task<Result<>> look_for_orders(Deadline deadline) {
        TXS_CO_TRY(
            const auto session,
            co_await pg::Connection::open(executor_, config_.database.connect_info(), {}, deadline)
        );
        TXS_CO_TRY(const auto left_out, co_await sets_left_out(*session, deadline));
        is_api_off_ = !left_out.empty();
        if (is_api_off_) {
            log::warn(
                "txstream",
                "the orders API is off: this database has the outbox, but no orders; `txstream "
                "migrate up` makes them, and `txstream relay` is the relay alone"
            );
        }
        co_return Result<>();
    }

    // Services that start together need not come up in an order.
    Task<Result<>> patiently(std::function<Task<Result<>>()> step, Deadline deadline) {
        bool told = false;
        asio::steady_timer pause(executor_);
        while (true) {
            auto done = co_await step();
            if (done || !done.error().retryable() || deadline.passed() || is_stopped_)
                co_return done;
            if (!std::exchange(told, true))
                log::warn("txstream", "waiting for the database", {{"error", done.error().what()}});
            pause.expires_after(kStartPause);
            co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
        }
    }

    Task<> watch_signals() {
        const int signal = co_await signals_.next();
        if (signal == 0) co_return;
        is_stopped_ = true;
        const auto limit = config_.shutdown.delay + config_.shutdown.timeout + kStopGrace;
        hard_stop_.emplace(Deadline::Clock::now() + limit, kOutOfTime, [limit] {
            log::fatal(
                "txstream",
                "the stop took longer than SHUTDOWN_DELAY and SHUTDOWN_TIMEOUT allow; what is in "
                "flight is published again by the next relay",
                {{"limit_ms", limit.count()}}
            );
            log::flush();
        });
        log::info("txstream", "stopping", {{"signal", signal}});
        manager_.stopping();
        tell_how_it_is();
        stopping_.cancel();
        if (co_await signals_.next() == 0) co_return;
        log::flush();
        std::_Exit(130);
    }

    Task<> watch_hangups() {
        while (co_await hangups_.next() != 0) log::reopen();
    }

    Task<> count_repeated_lines() {
        while (!is_ended_) {
            ending_.expires_after(kRepeatsInterval);
            co_await ending_.async_wait(asio::as_tuple(asio::use_awaitable));
            log::tell_repeats();
        }
    }

    Task<> tell_service_manager() {
        if (const auto& usable = manager_.usable(); !usable)
            log::warn(
                "txstream",
                "cannot report to the service manager, which may end this process",
                {{"error", usable.error().what()}}
            );
        while (manager_.is_there() && !is_ended_) {
            tell_how_it_is();
            telling_.expires_after(manager_.interval());
            co_await telling_.async_wait(asio::as_tuple(asio::use_awaitable));
        }
    }

    void tell_how_it_is() {
        if (!manager_.is_there()) return;
        manager_.tell(is_up_ ? status() : "starting", is_going_on());
    }

    std::string status() const {
        if (is_stopped_) return "stopping";
        return status_line(
            api_ && !is_api_off_,
            console_.has_value(),
            relay_ ? std::optional(relay_->health()) : std::nullopt
        );
    }

    // That this loop turns is shown by its asking. The watchdog is not fed by a process that has
    // lost one of its other threads, since nothing else would end it.
    bool is_going_on() {
        const auto patience = manager_.patience();
        if (!patience) return true;
        const auto now = Deadline::Clock::now();
        const auto relay = relay_ ? relay_->health().due : std::nullopt;
        const auto console = console_ && !is_stopped_ ? console_->silent_since() : std::nullopt;
        const bool is_relay_late = relay && now > *relay + *patience;
        const bool is_console_late = console && now > *console + *patience;
        const bool is_late = is_relay_late || is_console_late;
        if (!std::exchange(is_late_, is_late) && is_late)
            log::error(
                "txstream",
                is_relay_late
                    ? "a worker of the relay hangs: the service manager's watchdog is not "
                      "fed until it goes on"
                    : "the console's thread hangs: the service manager's watchdog is not "
                      "fed until it goes on",
                {{"limit_ms",
                  std::chrono::duration_cast<std::chrono::milliseconds>(*patience).count()}}
            );
        return !is_late;
    }

    Task<> stop(bool was_up) {
        if (api_) api_->drain();
        if (ops_) ops_->drain();
        if (console_) console_->drain();
        if (was_up && config_.shutdown.delay.count() > 0) {
            asio::steady_timer pause(executor_, config_.shutdown.delay);
            co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
        }
        const auto deadline = Deadline::in(config_.shutdown.timeout);
        // Orders first: what they commit last, the relay still publishes. It needs time for it,
        // whatever a slow client does with ours.
        const auto half = deadline.left() / 2;
        if (api_) co_await api_->stop(relay_ ? Deadline::in(half) : deadline);
        if (relay_) co_await relay_->stop(deadline);
        if (console_) co_await console_->stop(deadline);
        if (exporter_) co_await exporter_->stop(deadline);
        if (ops_) co_await ops_->stop(deadline);
        if (was_up) log::info("txstream", "stopped");
    }

    std::optional<runtime::HardStop> hard_stop_;  // outlives all that may be slow to end
    asio::any_io_executor executor_;
    const Config& config_;
    std::function<void(Listening)> up_;
    Metrics metrics_;
    MetricsPage metrics_page_;
    runtime::StopSignals signals_;
    runtime::HangupSignals hangups_;
    ServiceManager manager_;
    asio::steady_timer telling_;   ///< until it is told again how it is
    asio::steady_timer ending_;    ///< cancelled when the service has stopped
    asio::steady_timer stopping_;  ///< cancelled when it is time to stop
    Result<> traces_;              ///< whether they could be started
    std::unique_ptr<otlp::Exporter> exporter_;
    std::optional<telemetry::Tracer> tracer_;
    std::optional<RelayApp> relay_;
    std::optional<ApiApp> api_;
    std::optional<OpsApp> ops_;
    std::optional<ConsoleApp> console_;
    Listening listening_;
    bool is_up_ = false;    ///< everything listens
    bool is_late_ = false;  ///< some thread hangs
    bool is_stopped_ = false;
    bool is_api_off_ = false;
    bool is_ended_ = false;
};

}  // namespace

Result<> serve(const Config& config, Roles roles, std::function<void(Listening)> up) {
    if (roles.api || roles.relay) roles.console = roles.console && config.console.is_enabled;
    runtime::ignore_broken_pipes();
    asio::io_context loop(1);
    Service service(loop, config, roles, std::move(up));
    runtime::TaskGroup tasks(loop.get_executor());
    Result<> result;
    const auto run = [](Service& running, Result<>& into) -> Task<> {
        into = co_await running.run();
    };
    tasks.spawn(run(service, result));
    loop.run();
    return result;
}

}  // namespace txstream::app
