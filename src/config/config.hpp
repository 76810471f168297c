#pragma once

#include "base/error.hpp"
#include "otlp/options.hpp"
#include "pg/conn_info.hpp"
#include "policy/circuit_breaker.hpp"
#include "policy/retry_policy.hpp"
#include "telemetry/log.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace txstream {

/// Everything that can be set, as plain values. Defaults, limits and meaning of each stand in one
/// table (detail/table.cpp), from which docs/configuration.md and .env.example are made.
struct Config {
    using Milliseconds = std::chrono::milliseconds;
    using Properties = std::map<std::string, std::string>;

    struct Server {
        std::string host;
        std::uint16_t port = 0;  ///< 0: any free one
        Milliseconds read_timeout{};
        Milliseconds write_timeout{};
        Milliseconds idle_timeout{};
        std::size_t body_bytes_max = 0;
        std::size_t header_bytes_max = 0;
        std::size_t connections_max = 0;
        std::size_t buffer_bytes_max = 0;
        std::chrono::seconds delayed_after{};    ///< age of the oldest event
        std::vector<std::string> allowed_hosts;  ///< besides loopback's names; "*": any
    };
    struct Database {
        std::string host;  ///< or several, with as many ports, separated by commas
        std::string port;
        std::string user;
        std::string password;  ///< empty: libpq looks into its password file
        std::string name;
        std::string ssl_mode;
        Properties parameters;  ///< further libpq parameters, from DATABASE_URL
        std::size_t connections_max = 0;
        Milliseconds connect_timeout{};

        /// Reads again what came from a file (DATABASE_PASSWORD_FILE, DATABASE_URL_FILE), which may
        /// have been rotated; empty when nothing did. May be called from any thread.
        std::function<Result<Database>()> renew;

        /// For libpq; holds the password, so it must not be logged.
        std::string conninfo() const;
        /// The same for those who connect, renewed at each connect.
        pg::ConnInfo connect_info() const;
        /// The same without the password, for messages.
        std::string where() const;
    };
    struct Kafka {
        std::string brokers;
        std::string topic;
        std::string dead_letter_topic;  ///< where parked events are copied to; empty: nowhere
        int topic_partitions = 0;
        int topic_replication_factor = 0;  ///< -1: what the broker has as default
        std::size_t message_bytes_max = 0;
        Milliseconds publish_timeout{};  ///< so long without an acknowledgement is a failure
        Milliseconds probe_timeout{};    ///< the same for a probe of the circuit breaker
        /// Set by `txstream dev`, whose broker has no admin interface to ask.
        bool is_development_broker = false;
        Properties client;    ///< librdkafka's, for any client: brokers, security
        Properties producer;  ///< and more, for kafka::Producer, which adds its guarantees
        /// As Database::renew, for KAFKA_SASL_PASSWORD_FILE and its like.
        std::function<Result<Kafka>()> renew;

        /// This, with files of secrets read again: for each new client, and after a refused login.
        Result<Kafka> renewed() const;
    };
    struct Relay {
        std::size_t workers = 0;
        std::size_t page_rows_max = 0;
        std::size_t page_bytes_max = 0;
        std::size_t in_flight_bytes_max = 0;
        Milliseconds poll_min{};
        Milliseconds poll_max{};
        Milliseconds lease{};
        std::size_t lanes_max = 0;  ///< 0: no limit
        bool stands_by = false;
        unsigned refused_retries_max = 0;
        Milliseconds refused_retry_delay{};
        Milliseconds topic_retry_delay{};
        Milliseconds topic_patience{};
        /// Events of these topics and types hold nothing behind them when they are parked.
        std::vector<std::string> skip_topics;
        std::vector<std::string> skip_types;
    };
    /// How long the tables keep what is done; zero: for ever.
    struct Retention {
        Milliseconds events{};
        Milliseconds positions{};
        Milliseconds dead_letters{};
        Milliseconds audit{};
        Milliseconds jobs{};
    };
    struct Metrics {
        bool enabled = false;
        std::string host;
        std::uint16_t port = 0;  ///< 0: any free one
        std::string path;
    };
    struct Console {
        bool is_enabled = false;
        std::string host;
        std::uint16_t port = 0;  ///< 0: any free one
        std::string base_path;   ///< begins and ends with a slash
        std::string environment;
        std::string grafana_url;
        std::string trace_url;  ///< has {trace_id} in it
        std::chrono::seconds refresh_floor{};
        std::string tokens_file;
        std::string link_token;  ///< a secret
        std::string tls_certificate_file;
        std::string tls_key_file;
        bool is_insecure = false;
        bool is_read_only = false;
        std::vector<std::string> masks;  ///< JSON paths
        std::vector<std::string> allowed_hosts;
        std::vector<std::string> origins;
    };
    /// OpenTelemetry's own names and defaults.
    struct Tracing {
        /// Whether an endpoint is set, and nothing turns it off. What is below is right only then.
        bool is_enabled = false;
        double sampling_ratio = 1;
        bool is_sampling_parent_based = true;
        otlp::Options exporter;

        /// As they were given; what they mean together is decided when all of them are known.
        struct Given {
            bool is_disabled = false;
            std::string kind, service_name, resource_attributes, sampler, sampler_argument;
            /// For all signals, and for traces alone.
            struct Otlp {
                std::string endpoint, protocol, headers, timeout, certificate;
            };
            Otlp all, traces;
        } given;
    };
    struct Shutdown {
        Milliseconds timeout{};
        Milliseconds delay{};
    };

    Server server;
    Database database;
    Kafka kafka;
    policy::RetryPolicy retry;
    policy::CircuitBreaker::Limits breaker;
    Relay relay;
    Retention retention;
    Metrics metrics;
    Console console;
    log::Options logging;
    Tracing tracing;
    Shutdown shutdown;
};

/// In the form that the room `kafka` takes.
std::vector<std::pair<std::string, std::string>> to_kafka(const Config::Properties& properties);

}  // namespace txstream
