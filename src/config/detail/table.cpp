#include "config/detail/table.hpp"

#include "base/text.hpp"
#include "config/detail/console.hpp"
#include "config/detail/forms.hpp"
#include "config/detail/tracing.hpp"

#include <algorithm>
#include <array>

namespace txstream::config {
namespace {

using namespace std::chrono_literals;
using kinds::Kind;
namespace k = kinds;

constexpr std::int64_t kKiB = 1024;
constexpr std::int64_t kMiB = 1024 * kKiB;

/// Goes to librdkafka under that name when it is set.
Kind client_property(std::string allowed, std::string property) {
    return k::text(std::move(allowed), [property](Config& config, std::string_view value) {
        if (!value.empty()) config.kafka.client[property] = std::string(value);
    });
}

Kind client_choice(std::vector<std::string> words, std::string property) {
    return k::choice(std::move(words), [property](Config& config, std::string_view word) {
        config.kafka.client[property] = word;
    });
}

std::vector<Setting> server_settings() {
    return section(
        "API",
        {
            {"SERVER_HOST",
             "127.0.0.1",
             k::not_empty("an address to listen on", TXS_MEMBER(server.host)),
             "Where the API listens. Loopback unless told otherwise."},
            {"SERVER_PORT",
             "8080",
             k::port(TXS_MEMBER(server.port)),
             "0 is any free port; the log says which."},
            {"SERVER_READ_TIMEOUT",
             "15s",
             k::duration(1ms, 1h, TXS_MEMBER(server.read_timeout)),
             "From a request's first byte to its last."},
            {"SERVER_WRITE_TIMEOUT",
             "15s",
             k::duration(1ms, 1h, TXS_MEMBER(server.write_timeout)),
             "For a whole response."},
            {"SERVER_IDLE_TIMEOUT",
             "1m",
             k::duration(1ms, 24h, TXS_MEMBER(server.idle_timeout)),
             "Between the requests of a connection."},
            {"SERVER_BODY_BYTES_MAX",
             "1MiB",
             k::bytes(kKiB, 64 * kMiB, TXS_MEMBER(server.body_bytes_max)),
             "A larger body is answered 413."},
            {"SERVER_HEADER_BYTES_MAX",
             "16KiB",
             k::bytes(kKiB, kMiB, TXS_MEMBER(server.header_bytes_max)),
             "A longer head is answered 431."},
            {"SERVER_CONNECTIONS_MAX",
             "1024",
             k::number("a number", 1, 100'000, TXS_MEMBER(server.connections_max)),
             "One more is answered 503 and closed. Fewer if the process may not have as many "
             "descriptors (ulimit -n)."},
            {"SERVER_BUFFER_BYTES_MAX",
             "64MiB",
             k::bytes(kMiB, 16 * 1024 * kMiB, TXS_MEMBER(server.buffer_bytes_max)),
             "Of all connections: bodies that are still coming, answers that are still going. "
             "Beyond "
             "it the connection that has waited longest is closed."},
            {"SERVER_DELAYED_AFTER",
             "30s",
             k::duration(1s, 24h, TXS_MEMBER(server.delayed_after)),
             "From this age of the oldest event on that is not delivered, the answer to an order "
             "says "
             "that "
             "delivery is delayed, even if nothing is known to hold it up (TxStream-Delivery)."},
            {"SERVER_ALLOWED_HOSTS",
             "",
             forms::hosts(TXS_MEMBER(server.allowed_hosts)),
             "By which names clients call this server and its metrics, besides localhost and "
             "loopback "
             "addresses; on loopback any other is answered 403. Pages of these hosts may post. "
             "\"*\": "
             "any name."},
        }
    );
}

std::vector<Setting> database_settings() {
    return section(
        "PostgreSQL",
        {
            {"DATABASE_HOST",
             "localhost",
             k::not_empty(
                 "a host name, an address or a socket directory", TXS_MEMBER(database.host)
             ),
             "Several, separated by commas, are tried in turn, as is each address of a name: the "
             "first "
             "that takes writes counts. libpq's PGHOST counts when this is not "
             "set, in the environment or else in .env; so do PGPORT, PGUSER, PGPASSWORD, "
             "PGDATABASE "
             "and "
             "PGSSLMODE for theirs."},
            {"DATABASE_PORT", "5432", forms::database_ports(), ""},
            {"DATABASE_USER",
             "txstream_user",
             k::not_empty("a role's name", TXS_MEMBER(database.user)),
             ""},
            {"DATABASE_PASSWORD",
             "",
             k::text("any text", TXS_MEMBER(database.password)),
             "Empty: libpq looks into its password file.",
             true},
            {"DATABASE_NAME",
             "txstream_db",
             k::not_empty("a database's name", TXS_MEMBER(database.name)),
             ""},
            {"DATABASE_SSL_MODE",
             "prefer",
             k::choice(
                 {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"},
                 TXS_MEMBER(database.ssl_mode)
             ),
             "As libpq's sslmode."},
            {"DATABASE_URL",
             "",
             k::anything(),
             "postgresql://user:password@host:port/name?sslmode=…; sets the six names above, none "
             "of "
             "which may say something else in the same place. Further parameters go to libpq. Of "
             "several URLs the first counts, whole.",
             true},
            {"DATABASE_MAX_OPEN_CONNS",
             "25",
             k::number("a number", 1, 1000, TXS_MEMBER(database.connections_max)),
             "Sessions of the API's pool. The relay has two for each worker besides."},
            {"DATABASE_CONNECT_TIMEOUT",
             "10s",
             k::duration(100ms, 5min, TXS_MEMBER(database.connect_timeout)),
             "For one attempt to connect: a look-up of a name, or one address of one host. Of "
             "several, "
             "none gets more than its share of the time that the caller has."},
        }
    );
}

std::vector<Setting> kafka_settings() {
    return section(
        "Kafka",
        {
            {"KAFKA_BROKERS", "localhost:9092", forms::brokers(), ""},
            {"KAFKA_TOPIC_EVENTS",
             "txstream.events",
             forms::topic_name(),
             "Where events go that name no topic of their own."},
            {"KAFKA_TOPIC_DEAD_LETTERS",
             "",
             forms::dead_letter_topic(),
             "A parked event is also sent there, at least once, with headers that say why "
             "(docs/wire-format.md). "
             "The topic has to exist. Empty: parked events are in the database alone."},
            {"KAFKA_TOPIC_PARTITIONS",
             "12",
             k::number("a number", 1, 10'000, TXS_MEMBER(kafka.topic_partitions)),
             "For the topic, when it has to be created."},
            {"KAFKA_TOPIC_REPLICATION_FACTOR",
             "-1",
             forms::replication_factor(),
             "For the topic, when it has to be created; -1 is the broker's default."},
            {"KAFKA_REQUIRED_ACKS", "all", forms::required_acks(), "Cannot be less."},
            {"KAFKA_COMPRESSION",
             "lz4",
             k::choice(
                 {"none", "lz4", "zstd", "snappy", "gzip"},
                 [](Config& config, std::string_view word) {
                     config.kafka.producer["compression.type"] = word;
                 }
             ),
             ""},
            {"KAFKA_LINGER",
             "2ms",
             k::duration_in(
                 1ms,
                 0ns,
                 1s,
                 [](Config& config, std::chrono::nanoseconds value) {
                     config.kafka.producer["linger.ms"] = std::to_string(
                         std::chrono::duration_cast<std::chrono::milliseconds>(value).count()
                     );
                 }
             ),
             "How long a record waits for company."},
            {"KAFKA_MESSAGE_BYTES_MAX",
             "1000000",
             k::bytes(1000, 100 * kMiB, TXS_MEMBER(kafka.message_bytes_max)),
             "Larger records are parked without asking the broker, and the API refuses orders "
             "whose "
             "event would be larger. The topic's own limit counts when it is lower."},
            {"KAFKA_TIMEOUT",
             "30s",
             k::duration(1s, 1h, TXS_MEMBER(kafka.publish_timeout)),
             "Records in flight and no acknowledgement for so long is a failure: publishing "
             "pauses, "
             "nothing is lost or counted."},
        }
    );
}

std::vector<Setting> kafka_security_settings() {
    return section(
        "Kafka",
        {
            {"KAFKA_SECURITY_PROTOCOL",
             "plaintext",
             client_choice({"plaintext", "ssl", "sasl_plaintext", "sasl_ssl"}, "security.protocol"),
             ""},
            {"KAFKA_SASL_MECHANISM",
             "",
             {"PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER, GSSAPI",
              [](Config& config, std::string_view value) -> k::Complaint {
                  if (value.empty()) return std::nullopt;
                  for (const std::string_view word :
                       {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI"}) {
                      if (lowered(word) != lowered(value)) continue;
                      config.kafka.client["sasl.mechanisms"] = std::string(word);
                      return std::nullopt;
                  }
                  return "";
              }},
             ""},
            {"KAFKA_SASL_USERNAME", "", client_property("any text", "sasl.username"), ""},
            {"KAFKA_SASL_PASSWORD", "", client_property("any text", "sasl.password"), "", true},
            {"KAFKA_SSL_CA_LOCATION",
             "",
             client_property("a PEM file", "ssl.ca.location"),
             "Empty: the system's."},
            {"KAFKA_SSL_CERTIFICATE_LOCATION",
             "",
             client_property("a PEM file", "ssl.certificate.location"),
             ""},
            {"KAFKA_SSL_KEY_LOCATION", "", client_property("a PEM file", "ssl.key.location"), ""},
            {"KAFKA_SSL_KEY_PASSWORD", "", client_property("any text", "ssl.key.password"), "", true
            },
            {"KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM",
             "https",
             client_choice({"https", "none"}, "ssl.endpoint.identification.algorithm"),
             ""},
        }
    );
}

std::vector<Setting> policy_settings() {
    return section(
        "Retry and circuit breaker",
        {
            {"KAFKA_EXPONENTIAL_RETRY_ENABLED",
             "true",
             k::boolean(TXS_MEMBER(retry.exponential)),
             "Off: every pause takes KAFKA_RETRY_DELAY."},
            {"KAFKA_RETRY_DELAY", "1s", k::duration(1ms, 1h, TXS_MEMBER(retry.fixed_delay)), ""},
            {"KAFKA_BASE_DELAY",
             "1s",
             k::duration(1ms, 1h, TXS_MEMBER(retry.base_delay)),
             "The first pause after a failure; each further one is KAFKA_MULTIPLIER times as long, "
             "times a random factor from 0.5 to 1.5."},
            {"KAFKA_MAX_DELAY",
             "30s",
             k::duration(1ms, 1h, TXS_MEMBER(retry.max_delay)),
             "The longest pause."},
            {"KAFKA_MULTIPLIER", "2", k::real(1, 100, TXS_MEMBER(retry.multiplier)), ""},
            {"KAFKA_CIRCUIT_BREAKER_ENABLED",
             "true",
             k::boolean(TXS_MEMBER(breaker.enabled)),
             "An open breaker pauses the relay; it never fails, parks or counts anything."},
            {"KAFKA_FAILURE_THRESHOLD",
             "5",
             k::number("a number", 1, 1000, TXS_MEMBER(breaker.failure_threshold)),
             "Failures in a row that open the breaker."},
            {"KAFKA_SUCCESS_THRESHOLD",
             "3",
             k::number("a number", 1, 1000, TXS_MEMBER(breaker.success_threshold)),
             "Successful probes that close it."},
            {"KAFKA_RESET_TIMEOUT",
             "30s",
             k::duration(1ms, 1h, TXS_MEMBER(breaker.reset_timeout)),
             "From the last failure to the first probe."},
            {"KAFKA_TIMEOUT_DURATION",
             "10s",
             k::duration(1ms, 1h, TXS_MEMBER(kafka.probe_timeout)),
             "A probe without an acknowledgement for so long has failed."},
        }
    );
}

std::vector<Setting> relay_settings() {
    return section(
        "Relay",
        {
            {"WORKER_POOL_SIZE",
             "1",
             k::number("a number", 1, 64, TXS_MEMBER(relay.workers)),
             "Workers of a relay process: each reads and publishes its part of the lanes, on a "
             "thread "
             "of its own. One reads as fast as PostgreSQL sends to a session.",
             false,
             {"WORKER_CONCURRENCY"}},
            {"WORKER_BATCH_SIZE",
             "1000",
             k::number("a number", 1, 10'000, TXS_MEMBER(relay.page_rows_max)),
             "Events in a page, at most."},
            {"WORKER_BATCH_BYTES",
             "4MiB",
             k::bytes(64 * kKiB, 64 * kMiB, TXS_MEMBER(relay.page_bytes_max)),
             "Aimed-at size of a page; large events make pages of fewer rows."},
            {"WORKER_IN_FLIGHT_BYTES",
             "32MiB",
             k::bytes(kMiB, 4096 * kMiB, TXS_MEMBER(relay.in_flight_bytes_max)),
             "What is read and not yet acknowledged may take so much memory, over all workers."},
            {"WORKER_POLL_MIN",
             "2ms",
             k::duration(1ms, 1min, TXS_MEMBER(relay.poll_min)),
             "Pause between two looks while events come."},
            {"WORKER_INTERVAL",
             "100ms",
             k::duration(1ms, 1min, TXS_MEMBER(relay.poll_max)),
             "The longest pause between two looks, when nothing has come for a while. A backlog is "
             "never waited for.",
             false,
             {"WORKER_POLLING_INTERVAL"}},
            {"WORKER_LEASE",
             "10s",
             k::duration(500ms, 10min, TXS_MEMBER(relay.lease)),
             "How long a lane stays with a relay that is not heard of."},
            {"WORKER_MAX_LANES",
             "0",
             k::number("a number", 0, 256, TXS_MEMBER(relay.lanes_max)),
             "Lanes this process takes, at most; 0 is all. Relays share the lanes evenly."},
            {"WORKER_STANDBY",
             "false",
             k::boolean(TXS_MEMBER(relay.stands_by)),
             "This process takes no lane while a relay without it lives, and all of them when none "
             "does."},
            {"WORKER_MAX_RETRIES",
             "3",
             k::number("a number", 0, 100, TXS_MEMBER(relay.refused_retries_max)),
             "How often an event that Kafka refuses alone, for a reason that may pass (damaged on "
             "its "
             "way), is tried again before it is parked. What cannot change (too large, invalid) "
             "parks "
             "it at once; failures of brokers are not counted."},
            {"WORKER_RETRY_DELAY",
             "1s",
             k::duration(1ms, 1h, TXS_MEMBER(relay.refused_retry_delay)),
             "Between those tries."},
            {"WORKER_TOPIC_RETRY_DELAY",
             "30s",
             k::duration(10ms, 1h, TXS_MEMBER(relay.topic_retry_delay)),
             "How long until a topic that does not exist, or may not be written, is tried again, "
             "with "
             "one event. Its events wait, and later ones of their keys; everything else goes on."},
            {"WORKER_TOPIC_PATIENCE",
             "2m",
             k::duration(1ms, 24h, TXS_MEMBER(relay.topic_patience)),
             "A topic of an event's own that accepts no record for so long has its events parked, "
             "until it "
             "takes one; earlier when those that wait fill a quarter of WORKER_IN_FLIGHT_BYTES, or "
             "a "
             "lane has 1,024 pages behind them. While they wait, a crash repeats what was "
             "published "
             "behind them. KAFKA_TOPIC itself is waited for without end; nothing is read meanwhile."
            },
            {"WORKER_SKIP_TOPICS",
             "",
             forms::topic_names(TXS_MEMBER(relay.skip_topics)),
             "An event of these topics that is parked does not hold later events of its key: they "
             "are "
             "published without it, so the order of the key is given up. The same for all relays "
             "of an outbox."},
            {"WORKER_SKIP_TYPES",
             "",
             k::list(
                 "event types of at most 255 bytes, separated by commas",
                 [](std::string_view type) {
                     return type.size() <= 255 ? k::Complaint() : k::Complaint("");
                 },
                 TXS_MEMBER(relay.skip_types)
             ),
             "The same for events of these types, whatever their topic."},
        }
    );
}

std::vector<Setting> retention_settings() {
    constexpr auto kMost = 24h * 3650;
    return section(
        "Retention",
        {
            {"OUTBOX_RETENTION",
             "7d",
             k::duration(0s, kMost, TXS_MEMBER(retention.events)),
             "How long events are kept after they were published. Then the relay drops them, by "
             "partitions of a tenth of that time; never one that is not published, or whose dead "
             "letter waits. 0: forever. The same for all relays of an outbox."},
            {"OUTBOX_POSITIONS_RETENTION",
             "30d",
             k::duration(0s, kMost, TXS_MEMBER(retention.positions)),
             "How long it can be asked when an event was published, and where it is in Kafka. 0: "
             "for "
             "ever."},
            {"OUTBOX_DEAD_LETTERS_RETENTION",
             "90d",
             k::duration(0s, kMost, TXS_MEMBER(retention.dead_letters)),
             "How long dead letters are kept that were replayed or discarded, once their events "
             "are "
             "dropped. Those that wait are kept until they are decided. 0: forever."},
            {"OUTBOX_AUDIT_RETENTION",
             "400d",
             k::duration(0s, kMost, TXS_MEMBER(retention.audit)),
             "How long operators' actions are kept, 30 days at least. 0: forever."},
            {"OUTBOX_JOBS_RETENTION",
             "90d",
             k::duration(0s, kMost, TXS_MEMBER(retention.jobs)),
             "How long jobs are kept that have ended. 0: forever."},
        }
    );
}

std::vector<Setting> metrics_settings() {
    return section(
        "Metrics",
        {
            {"METRICS_ENABLED",
             "true",
             k::boolean(TXS_MEMBER(metrics.enabled)),
             "The relay's own server for metrics and health."},
            {"METRICS_HOST",
             "127.0.0.1",
             k::not_empty("an address to listen on", TXS_MEMBER(metrics.host)),
             ""},
            {"METRICS_PORT", "9091", k::port(TXS_MEMBER(metrics.port)), "0 is any free port."},
            {"METRICS_PATH", "/metrics", forms::metrics_path(), ""},
        }
    );
}

std::vector<Setting> log_settings() {
    return section(
        "Log",
        {
            {"LOGGING_LEVEL",
             "info",
             k::choice(
                 {"debug", "info", "warn", "error", "fatal"},
                 [](Config& c, std::string_view word) { c.logging.level = *log::level_from(word); }
             ),
             ""},
            {"LOGGING_FORMAT",
             "auto",
             k::choice(
                 {"json", "text", "auto"},
                 [](Config& c, std::string_view word) {
                     c.logging.format = *log::format_from(word);
                 }
             ),
             "auto: text on a terminal, else JSON."},
            {"LOGGING_OUTPUT_PATH",
             "",
             k::text("a file, stdout or stderr", TXS_MEMBER(logging.output_path)),
             "Empty: standard output. SIGHUP opens a file again, for rotation."},
        }
    );
}

std::vector<Setting> shutdown_settings() {
    return section(
        "Shutdown",
        {
            {"SHUTDOWN_TIMEOUT",
             "25s",
             k::duration(100ms, 1h, TXS_MEMBER(shutdown.timeout)),
             "For draining after SIGTERM; what is in flight then is published again by the next "
             "relay. "
             "Two seconds after it the process ends itself with exit code 7. Orchestrators often "
             "kill "
             "after 30 s."},
            {"SHUTDOWN_DELAY",
             "0",
             k::duration(0s, 5min, TXS_MEMBER(shutdown.delay)),
             "Between answering \"not ready\" and closing the door, for load balancers that are "
             "slow "
             "to notice."},
        }
    );
}

std::vector<Setting> retired_settings() {
    const auto retired = [](std::string name, std::string why) {
        return Setting{
            .name = std::move(name),
            .kind = k::anything(),
            .meaning = std::move(why),
            .is_retired = true
        };
    };
    return section(
        "Without effect",
        {
            retired("DATABASE_MAX_IDLE_CONNS", "idle sessions are kept"),
            retired("DATABASE_CONN_MAX_LIFETIME", "sessions are replaced when they break"),
            retired("DATABASE_LOG_LEVEL", "SQL is never logged"),
            retired("DATABASE_SLOW_QUERY_TIME", "use log_min_duration_statement of PostgreSQL"),
            retired("KAFKA_GROUP_ID", "nothing consumes here"),
            retired("KAFKA_AUTO_OFFSET_RESET", "nothing consumes here"),
            retired("KAFKA_SESSION_TIMEOUT", "nothing consumes here"),
            retired("KAFKA_MAX_RETRIES", "what can be retried is retried until it succeeds"),
            retired("WORKER_PROCESS_TIMEOUT", "see KAFKA_TIMEOUT"),
        }
    );
}

}  // namespace

std::vector<Setting> section(std::string_view name, std::vector<Setting> rows) {
    for (auto& row : rows) row.section = name;
    return rows;
}

const std::vector<Setting>& settings() {
    static const std::vector<Setting> all = [] {
        std::vector<Setting> table;
        for (auto&& part :
             {server_settings(),
              database_settings(),
              kafka_settings(),
              kafka_security_settings(),
              policy_settings(),
              relay_settings(),
              retention_settings(),
              metrics_settings(),
              log_settings(),
              shutdown_settings(),
              console_settings(),
              tracing_settings(),
              retired_settings()}) {
            table.insert(table.end(), part.begin(), part.end());
        }
        return table;
    }();
    return all;
}

const Setting* find_setting(std::string_view name) {
    for (const auto& setting : settings()) {
        if (setting.name == name) return &setting;
        if (std::ranges::find(setting.aliases, name) != setting.aliases.end()) return &setting;
    }
    return nullptr;
}

const std::vector<std::string>& our_prefixes() {
    static const std::vector<std::string> prefixes{
        "SERVER_",
        "DATABASE_",
        "KAFKA_",
        "WORKER_",
        "OUTBOX_",
        "METRICS_",
        "CONSOLE_",
        "LOGGING_",
        "SHUTDOWN_",
        "DB_"
    };
    return prefixes;
}

}  // namespace txstream::config
