#include "dev/stack.hpp"

#include "app/kafka_publisher.hpp"
#include "app/migrations.hpp"
#include "app/service.hpp"
#include "app/session.hpp"
#include "base/text.hpp"
#include "dev/private_postgres.hpp"
#include "kafka/dev_broker.hpp"
#include "kafka/tail.hpp"
#include "telemetry/log.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>
#include <unistd.h>

namespace txstream::dev {

namespace {

constexpr std::chrono::minutes kMigrateTimeout{5};
constexpr const char* kDatabase = "txstream_db";

Result<> make_database(Config& config) {
    auto created = app::with_session(
        config,
        kMigrateTimeout,
        [](pg::Connection& session, Deadline deadline) -> Task<Result<>> {
            co_return co_await session.run_script(
                std::string("CREATE DATABASE ") + kDatabase, deadline
            );
        }
    );
    // 42P04: it is there, from the last time with this --data.
    if (!created && created.error().origin() != "42P04") return created;
    config.database.name = kDatabase;
    return app::with_session(
        config,
        kMigrateTimeout,
        [](pg::Connection& session, Deadline deadline) -> Task<Result<>> {
            TXS_CO_TRY(
                const auto applied,
                co_await pg::migrate_up(session, app::migration_sets(), deadline)
            );
            co_return Result<>();
        }
    );
}

std::string sample_order(int number) {
    constexpr const char* kAddress =
        R"({"street":"Rua Demo","number":"123","city":"São Paulo","state":"SP","zip_code":"01234-567","country":"Brasil"})";
    const auto now = std::chrono::system_clock::now().time_since_epoch().count();
    return fmt::format(
        R"({{"customer_id":"demo-{0}","order_number":"DEV-{1}-{0}","items":[{{"product_id":"prod-{0}","product_name":"Produto Demo","quantity":{0},"unit_price":19.90}}],"shipping_address":{2},"billing_address":{2}}})",
        number,
        now,
        kAddress
    );
}

/// Where to reach a server that listens there: "any address" is none to connect to.
std::string reachable(const std::string& listening) {
    if (listening == "0.0.0.0" || listening == "*") return "127.0.0.1";
    return listening == "::" ? "::1" : listening;
}

std::string url(const std::string& host, std::uint16_t port) {
    const auto place = reachable(host);
    return place.find(':') == std::string::npos ? fmt::format("http://{}:{}", place, port)
                                                : fmt::format("http://[{}]:{}", place, port);
}

/// Posts as any client would.
bool post(const std::string& host, std::uint16_t port, const std::string& body) {
    asio::ip::tcp::iostream connection;
    connection.expires_after(std::chrono::seconds(10));
    connection.connect(host, std::to_string(port));
    connection
        << "POST /api/v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        << "Content-Length: " << body.size() << "\r\nConnection: close\r\n\r\n"
        << body << std::flush;
    std::string version;
    int status = 0;
    connection >> version >> status;
    return status == 201;
}

void print(const kafka::TailedRecord& record) {
    const auto now = std::chrono::system_clock::now();
    const auto age =
        std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() -
        record.timestamp_ms;
    std::string type = "?";
    for (const auto& [name, value] : record.headers) {
        if (name == "event_type") type = value;
    }
    fmt::print(
        "{:%H:%M:%S}  {:<14} {}  {}[{}]@{}  {} bytes, {} ms after it was written\n",
        std::chrono::floor<std::chrono::seconds>(now),
        type,
        record.key,
        record.topic,
        record.partition,
        record.offset,
        record.value.size(),
        age
    );
    std::fflush(stdout);
}

/// Follows all topics on a thread of its own, and posts the sample orders first.
class Show {
public:
    Show(const Config& config, const DevOptions& options) : config_(config), options_(options) {}
    ~Show() {
        is_stopping_ = true;
        if (thread_.joinable()) thread_.join();
    }
    Show(const Show&) = delete;
    Show& operator=(const Show&) = delete;

    void start(app::Listening listening) {
        print_urls(listening);
        thread_ = std::thread([this, listening] { run(listening); });
    }

private:
    void print_urls(app::Listening listening) const {
        const auto api = url(config_.server.host, listening.api);
        fmt::print(
            "\n  API          {}\n  Console      {}\n  Metrics      {}\n"
            "  Kafka        {}   (development broker, topic {})\n"
            "  PostgreSQL   postgresql://postgres:{}@127.0.0.1:{}/{}\n\n"
            "Next:\n"
            "  curl -s {}/api/v1/orders\n"
            "  kcat -C -e -b {} -t {}\n"
            "  Ctrl-C ends it all and {}\n\n",
            api,
            console(listening.console),
            // The API's server has the page too.
            config_.metrics.enabled
                ? url(config_.metrics.host, listening.metrics) + config_.metrics.path
                : api + config_.metrics.path,
            config_.kafka.brokers,
            config_.kafka.topic,
            config_.database.password,
            config_.database.port,
            config_.database.name,
            api,
            config_.kafka.brokers,
            config_.kafka.topic,
            options_.is_kept ? "keeps PostgreSQL's data in " + options_.data
                             : "leaves nothing behind"
        );
        std::fflush(stdout);
    }

    std::string console(std::uint16_t port) const {
        if (port == 0) return "off (CONSOLE_ENABLED)";
        return fmt::format(
            "{}/#token={}   (good once; later without the token)",
            url(config_.console.host, port),
            config_.console.link_token
        );
    }

    void run(app::Listening listening) {
        auto tail = kafka::Tail::open(to_kafka(config_.kafka.client), app::kafka_log());
        if (!tail) {
            log::error("dev", "cannot read the topics", {{"error", tail.error().what()}});
            return;
        }
        for (int i = 1; i <= options_.orders && !is_stopping_; ++i) {
            if (!post(reachable(config_.server.host), listening.api, sample_order(i)))
                log::error("dev", "a sample order was not taken", {{"order", i}});
        }
        while (!is_stopping_) {
            if (const auto record = (*tail)->next(std::chrono::milliseconds(100))) print(*record);
        }
    }

    const Config& config_;
    const DevOptions& options_;
    std::atomic<bool> is_stopping_{false};
    std::thread thread_;
};

/// For the link that is printed, where no token was set. From the kernel: whoever guesses it is an
/// operator.
Result<std::string> random_token() {
    std::array<unsigned char, 16> bytes;
    if (getentropy(bytes.data(), bytes.size()) != 0)
        return fail(Code::unavailable, "the kernel gives no randomness for the console's token");
    return to_hex(bytes);
}

/// Ours is in this process and asks for no login.
void use_broker(Config::Kafka& kafka, const std::string& bootstrap) {
    kafka.is_development_broker = true;
    kafka.renew = nullptr;
    kafka.brokers = bootstrap;
    for (auto* properties : {&kafka.client, &kafka.producer}) {
        std::erase_if(*properties, [](const auto& property) {
            return property.first.starts_with("security.") || property.first.starts_with("sasl.") ||
                   property.first.starts_with("ssl.");
        });
        (*properties)["bootstrap.servers"] = bootstrap;
    }
}

}  // namespace

Result<> run_dev(Config config, const DevOptions& options) {
    // The events are what is to be seen; what is wrong is still said.
    if (config.logging.level == log::Level::info) {
        config.logging.level = log::Level::warn;
        TXS_CHECK(log::setup(config.logging));
    }
    fmt::print("starting a private PostgreSQL and a development broker ...\n");
    std::fflush(stdout);
    TXS_TRY(
        const auto postgres,
        PrivatePostgres::start(
            options.data, options.is_kept ? PrivatePostgres::Keep::yes : PrivatePostgres::Keep::no
        )
    );
    config.database = postgres->database();
    TXS_CHECK(make_database(config));
    TXS_TRY(const auto broker, kafka::DevBroker::start());
    TXS_CHECK(broker->create_topic(config.kafka.topic, config.kafka.topic_partitions));
    use_broker(config.kafka, broker->bootstrap());
    if (config.console.link_token.empty()) {
        TXS_TRY(config.console.link_token, random_token());
    }
    Show show(config, options);
    return app::serve(
        config,
        {.api = true, .relay = true, .console = true},
        [&](app::Listening listening) { show.start(listening); }
    );
}

}  // namespace txstream::dev
