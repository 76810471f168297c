#include "app/config.hpp"

#include "app/config_render.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

namespace txstream::app {
namespace {

using namespace std::chrono_literals;
using Variables = std::map<std::string, std::string>;

Sources sources_of(Variables environment, std::string dotenv = {}) {
    Sources sources;
    sources.environment = std::move(environment);
    sources.dotenv = std::move(dotenv);
    sources.read_file = [](const std::string& path) -> Result<std::string> {
        if (path == "/run/secrets/password") return "from-the-file\n";
        return fail(Code::not_found, path + ": no such file");
    };
    return sources;
}

Loaded loaded(Variables environment, std::string dotenv = {}) {
    auto result = load(sources_of(std::move(environment), std::move(dotenv)));
    if (!result) {
        ADD_FAILURE() << result.error().front().message;
        return {};
    }
    return std::move(*result);
}

/// All messages, one a line; empty when it loads.
std::string problems(Variables environment, std::string dotenv = {}) {
    const auto result = load(sources_of(std::move(environment), std::move(dotenv)));
    std::string all;
    if (!result) {
        for (const auto& problem : result.error()) all += problem.message + "\n";
    }
    return all;
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

const Effective& effective(const Loaded& all, std::string_view name) {
    const auto found = std::ranges::find(all.effective, name, &Effective::name);
    EXPECT_NE(found, all.effective.end()) << name;
    return *found;
}

std::string file(const std::string& name) {
    const char* root = std::getenv("TXSTREAM_ROOT");
    std::ifstream in((root ? std::string(root) : std::string(TXS_SOURCE_DIR)) + "/" + name);
    return {std::istreambuf_iterator<char>(in), {}};
}

TEST(ConfigTest, TheDefaultsAreSafeAndDeliver) {
    const auto config = loaded({}).config;
    EXPECT_EQ(config.server.host, "127.0.0.1");
    EXPECT_EQ(config.server.port, 8080);
    EXPECT_EQ(config.metrics.host, "127.0.0.1");
    EXPECT_EQ(config.metrics.port, 9091);
    EXPECT_EQ(config.kafka.producer.at("acks"), "all");
    EXPECT_EQ(config.kafka.producer.at("enable.idempotence"), "true");
    EXPECT_EQ(config.kafka.producer.at("message.timeout.ms"), "0");
    EXPECT_TRUE(config.retry.exponential);
    EXPECT_EQ(config.breaker.failure_threshold, 5U);
    EXPECT_EQ(config.relay.poll_min, 2ms);
    EXPECT_EQ(config.relay.poll_max, 100ms);
}

TEST(ConfigTest, TheEnvironmentWinsOverTheFileAndTheFileOverTheDefault) {
    const auto all = loaded(
        {{"LOGGING_LEVEL", "warn"}},
        "LOGGING_LEVEL=debug\nSERVER_PORT=8123 # ours\nexport DATABASE_NAME='a b'\n"
    );
    EXPECT_EQ(all.config.logging.level, log::Level::warn);
    EXPECT_EQ(all.config.server.port, 8123);
    EXPECT_EQ(all.config.database.name, "a b");
    EXPECT_EQ(effective(all, "LOGGING_LEVEL").source, "environment");
    EXPECT_EQ(effective(all, "SERVER_PORT").source, ".env");
    EXPECT_EQ(effective(all, "METRICS_PORT").source, "default");
}

TEST(ConfigTest, TheEarlierSystemsNamesMeanWhatTheyMeant) {
    const auto config = loaded({{"WORKER_CONCURRENCY", "4"},
                                {"WORKER_POLLING_INTERVAL", "5s"},
                                {"WORKER_BATCH_SIZE", "10"},
                                {"KAFKA_EXPONENTIAL_RETRY_ENABLED", "false"},
                                {"KAFKA_BASE_DELAY", "2s"},
                                {"KAFKA_FAILURE_THRESHOLD", "7"}})
                            .config;
    EXPECT_EQ(config.relay.workers, 4U);
    EXPECT_EQ(config.relay.poll_max, 5s);
    EXPECT_EQ(config.relay.page_rows_max, 10U);
    EXPECT_FALSE(config.retry.exponential);
    EXPECT_EQ(config.breaker.failure_threshold, 7U);
}

TEST(ConfigTest, TwoNamesOfOneSettingMayNotDiffer) {
    EXPECT_EQ(problems({{"WORKER_CONCURRENCY", "4"}, {"WORKER_POOL_SIZE", "4"}}), "");
    const auto text = problems({{"WORKER_CONCURRENCY", "4"}, {"WORKER_POOL_SIZE", "3"}});
    EXPECT_TRUE(has(text, "WORKER_CONCURRENCY") && has(text, "WORKER_POOL_SIZE")) << text;
}

TEST(ConfigTest, TheEarlierSystemsExampleLoadsButForItsAcks) {
    const std::string example = R"(SERVER_HOST=127.0.0.1
SERVER_PORT=8080
DATABASE_HOST=localhost
DATABASE_PORT=5432
DATABASE_USER=txstream_user
DATABASE_PASSWORD=txstream_password
DATABASE_NAME=txstream_db
DATABASE_SSL_MODE=disable
DATABASE_MAX_OPEN_CONNS=25
DATABASE_MAX_IDLE_CONNS=5
DATABASE_CONN_MAX_LIFETIME=5m
DATABASE_LOG_LEVEL=info
DATABASE_SLOW_QUERY_TIME=200
KAFKA_BROKERS=localhost:9092
KAFKA_TOPIC_EVENTS=txstream.events
KAFKA_GROUP_ID=txstream-consumer-group
KAFKA_TIMEOUT=30s
KAFKA_AUTO_OFFSET_RESET=earliest
KAFKA_SESSION_TIMEOUT=30s
KAFKA_MAX_RETRIES=3
KAFKA_RETRY_DELAY=1s
KAFKA_EXPONENTIAL_RETRY_ENABLED=false
KAFKA_BASE_DELAY=1s
KAFKA_MAX_DELAY=30s
KAFKA_MULTIPLIER=2.0
KAFKA_CIRCUIT_BREAKER_ENABLED=false
KAFKA_FAILURE_THRESHOLD=5
KAFKA_SUCCESS_THRESHOLD=3
KAFKA_TIMEOUT_DURATION=10s
KAFKA_RESET_TIMEOUT=30s
WORKER_POLLING_INTERVAL=5s
WORKER_BATCH_SIZE=10
WORKER_MAX_RETRIES=3
WORKER_PROCESS_TIMEOUT=30s
WORKER_CONCURRENCY=4
METRICS_ENABLED=true
METRICS_PORT=9090
METRICS_PATH=/metrics
LOGGING_LEVEL=info
LOGGING_FORMAT=json
LOGGING_OUTPUT_PATH=
)";
    EXPECT_EQ(problems({}, example), "");
    const auto all = loaded({}, example);
    EXPECT_TRUE(std::ranges::any_of(all.warnings, [](const Problem& warning) {
        return has(warning.message, "KAFKA_GROUP_ID");
    })) << "what nothing reads any more is told";
    const auto refused = problems({}, example + "KAFKA_REQUIRED_ACKS=1\n");
    EXPECT_TRUE(has(refused, "KAFKA_REQUIRED_ACKS=1") && has(refused, "all")) << refused;
    EXPECT_EQ(problems({{"KAFKA_REQUIRED_ACKS", "-1"}}), "");
}

TEST(ConfigTest, AnUnknownNameWithOneOfOurPrefixesIsAnErrorWithASuggestion) {
    const auto text = problems({{"DATABASE_HOSTNAME", "x"}, {"HOME", "/root"}, {"PATH", "/bin"}});
    EXPECT_TRUE(has(text, "DATABASE_HOSTNAME is unknown; did you mean DATABASE_HOST?")) << text;
    EXPECT_EQ(std::ranges::count(text, '\n'), 1) << text;
    EXPECT_TRUE(has(problems({{"DB_HOST", "x"}}), "DATABASE_HOST"));
}

TEST(ConfigTest, AllProblemsAreToldAtOnceWithVariableValueAndWhatIsAllowed) {
    const auto text = problems(
        {{"SERVER_PORT", "70000"},
         {"KAFKA_BASE_DELAY", "soon"},
         {"LOGGING_LEVEL", "loud"},
         {"WORKER_BATCH_SIZE", "-1"},
         {"METRICS_ENABLED", "perhaps"},
         {"SERVER_BODY_BYTES_MAX", "12XB"}}
    );
    for (const char* part :
         {"SERVER_PORT=70000",
          "65535",
          "KAFKA_BASE_DELAY=soon",
          "LOGGING_LEVEL=loud",
          "debug",
          "WORKER_BATCH_SIZE=-1",
          "METRICS_ENABLED=perhaps",
          "SERVER_BODY_BYTES_MAX=12XB"})
        EXPECT_TRUE(has(text, part)) << part << " is not in:\n" << text;
    EXPECT_EQ(std::ranges::count(text, '\n'), 6) << text;
}

TEST(ConfigTest, ASecretIsShownNowhere) {
    const Variables secrets{{"DATABASE_PASSWORD", "s3cret-a"}, {"KAFKA_SASL_PASSWORD", "s3cret-b"}};
    const auto all = loaded(secrets);
    EXPECT_EQ(all.config.database.password, "s3cret-a");
    EXPECT_EQ(effective(all, "DATABASE_PASSWORD").value, "****");
    EXPECT_FALSE(has(render_table(all.effective) + render_json(all.effective), "s3cret"));
    EXPECT_FALSE(has(all.config.database.where(), "s3cret"));
    EXPECT_TRUE(has(all.config.database.conninfo(), "s3cret-a"));
    for (const char* url :
         {"postgresql://u:s3cret@:bad:/x",
          "postgres:/u:s3cret@h/x",
          "postgresql://u:s3cret@h/x?sslmode=maybe"}) {
        const auto text = problems({{"DATABASE_URL", url}});
        EXPECT_FALSE(has(text, "s3cret")) << text;
    }
}

TEST(ConfigTest, TheTimeOutOfAnAttemptToConnectGoesWithEveryConnectionString) {
    const auto conninfo =
        loaded({{"DATABASE_CONNECT_TIMEOUT", "2500ms"}}).config.database.conninfo();
    EXPECT_TRUE(has(conninfo, "connect_timeout='2.5'")) << conninfo;
}

TEST(ConfigTest, ASecretMayComeFromAFileButNotFromTwoPlaces) {
    const auto all = loaded({{"DATABASE_PASSWORD_FILE", "/run/secrets/password"}});
    EXPECT_EQ(all.config.database.password, "from-the-file");
    EXPECT_EQ(effective(all, "DATABASE_PASSWORD").value, "****");
    const auto twice = problems(
        {{"DATABASE_PASSWORD_FILE", "/run/secrets/password"}, {"DATABASE_PASSWORD", "s3cret"}}
    );
    EXPECT_TRUE(has(twice, "DATABASE_PASSWORD_FILE")) << twice;
    EXPECT_FALSE(has(twice, "s3cret"));
    EXPECT_TRUE(has(problems({{"DATABASE_PASSWORD_FILE", "/missing"}}), "/missing"));
}

TEST(ConfigTest, AUrlAndLibpqsVariablesSetTheDatabase) {
    const auto url =
        loaded({{"DATABASE_URL", "postgresql://me:p%40ss@db.example:6543/shop?sslmode=require"}})
            .config.database;
    EXPECT_EQ(url.host, "db.example");
    EXPECT_EQ(url.port, "6543");
    EXPECT_EQ(url.user, "me");
    EXPECT_EQ(url.password, "p@ss");
    EXPECT_EQ(url.name, "shop");
    EXPECT_EQ(url.ssl_mode, "require");
    const auto libpq =
        loaded({{"PGHOST", "pg"}, {"PGPORT", "5433"}, {"PGUSER", "u"}, {"PGDATABASE", "d"}})
            .config.database;
    EXPECT_EQ(libpq.host, "pg");
    EXPECT_EQ(libpq.port, "5433");
    EXPECT_EQ(libpq.user, "u");
    EXPECT_EQ(libpq.name, "d");
    EXPECT_EQ(loaded({{"PGHOST", "pg"}, {"DATABASE_HOST", "ours"}}).config.database.host, "ours");
}

TEST(ConfigTest, NumbersHaveUnitsAndLimits) {
    const auto config = loaded({{"KAFKA_BASE_DELAY", "1m30s"},
                                {"KAFKA_MAX_DELAY", "2m"},
                                {"SERVER_BODY_BYTES_MAX", "2MiB"},
                                {"SERVER_PORT", "0"}})
                            .config;
    EXPECT_EQ(config.retry.base_delay, 90s);
    EXPECT_EQ(config.server.body_bytes_max, 2U * 1024 * 1024);
    EXPECT_EQ(config.server.port, 0) << "any free one";
    EXPECT_TRUE(has(problems({{"WORKER_POOL_SIZE", "0"}}), "WORKER_POOL_SIZE=0"));
    EXPECT_TRUE(
        has(problems({{"WORKER_POLL_MIN", "3s"}, {"WORKER_INTERVAL", "1s"}}), "WORKER_POLL_MIN")
    );
    EXPECT_TRUE(
        has(problems({{"SERVER_PORT", "9000"}, {"METRICS_PORT", "9000"}}), "METRICS_PORT=9000")
    );
}

TEST(ConfigTest, ALineOfTheFileThatIsNoneIsNamed) {
    const auto text = problems({}, "SERVER_PORT=1\nnonsense\n");
    EXPECT_TRUE(has(text, ".env") && has(text, "2")) << text;
}

TEST(ConfigTest, ThePagesOfTheRepositoryAreThoseOfTheTable) {
    EXPECT_EQ(file("docs/configuration.md"), render_docs())
        << "renew it: build/dev/txstream config docs > docs/configuration.md";
    EXPECT_EQ(file(".env.example"), render_env_example())
        << "renew it: build/dev/txstream config docs --env > .env.example";
    EXPECT_EQ(problems({}, file(".env.example")), "");
}

}  // namespace
}  // namespace txstream::app
