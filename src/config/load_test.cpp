#include "config/config.hpp"
#include "config/fixture.hpp"
#include "config/render.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <unistd.h>

namespace txstream::config {
namespace {

using namespace std::chrono_literals;

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
    EXPECT_TRUE(config.retry.exponential);
    EXPECT_EQ(config.breaker.failure_threshold, 5U);
    EXPECT_EQ(config.relay.poll_min, 2ms);
    EXPECT_EQ(config.relay.poll_max, 100ms);
    EXPECT_LT(config.shutdown.delay + config.shutdown.timeout + 2s, 30s)
        << "orchestrators kill after 30 s";
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
}

TEST(ConfigTest, WhatHoldsNothingAndWhereLettersAreCopiedIsNamedOrRefused) {
    const auto config = loaded({{"WORKER_SKIP_TOPICS", "clicks, page.views"},
                                {"WORKER_SKIP_TYPES", "Seen"},
                                {"KAFKA_TOPIC_DEAD_LETTERS", "txstream.dead-letters"}})
                            .config;
    EXPECT_EQ(config.relay.skip_topics, (std::vector<std::string>{"clicks", "page.views"}));
    EXPECT_EQ(config.relay.skip_types, std::vector<std::string>{"Seen"});
    EXPECT_EQ(config.kafka.dead_letter_topic, "txstream.dead-letters");
    for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
             {"WORKER_SKIP_TOPICS", "clicks,,views"},
             {"WORKER_SKIP_TOPICS", "page views"},
             {"WORKER_SKIP_TYPES", std::string(256, 't')},
             {"KAFKA_TOPIC_DEAD_LETTERS", ".."}
         })
        EXPECT_TRUE(has(problems({{name, value}}), name)) << name << "=" << value;
}

TEST(ConfigTest, WhatWasMeantIsSuggestedByBeginningPartsAndLikeness) {
    const std::vector<std::pair<std::string, std::string>> meant{
        {"WORKER_POOL", "WORKER_POOL_SIZE"},
        {"KAFKA_TOPIC", "KAFKA_TOPIC_EVENTS"},
        {"KAFKA_ACKS", "KAFKA_REQUIRED_ACKS"},
        {"KAFKA_BOOTSTRAP_SERVERS", "KAFKA_BROKERS"},
        {"KAFKA_BROKER", "KAFKA_BROKERS"},
        {"KAFKA_USERNAME", "KAFKA_SASL_USERNAME"},
        {"SERVER_ADDRESS", "SERVER_HOST"},
        {"SERVER_TIMEOUT", "SERVER_READ_TIMEOUT"},
        {"DATABASE_PASS", "DATABASE_PASSWORD"},
        {"DATABASE_PASWORD", "DATABASE_PASSWORD"},
        {"LOGGING_FILE", "LOGGING_OUTPUT_PATH"},
        {"DB_HOST", "DATABASE_HOST"},
        {"DB_PASS", "DATABASE_PASSWORD"},
        {"DB_SSL_MODE", "DATABASE_SSL_MODE"},
        {"DB_SSLMODE", "DATABASE_SSL_MODE"},
    };
    for (const auto& [typed, right] : meant) {
        const auto text = problems({{typed, "x"}});
        auto told = typed + " is unknown; did you mean ";
        told += right;
        told += '?';
        EXPECT_TRUE(has(text, told)) << text;
    }
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
    const Variables secrets{
        {"DATABASE_PASSWORD", "s3cret-a"},
        {"KAFKA_SECURITY_PROTOCOL", "sasl_ssl"},
        {"KAFKA_SASL_MECHANISM", "PLAIN"},
        {"KAFKA_SASL_USERNAME", "me"},
        {"KAFKA_SASL_PASSWORD", "s3cret-b"}
    };
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
    EXPECT_EQ(problems({{"DATABASE_PASSWORD_FILE", ""}}), "") << "as if it were not set";
}

TEST(ConfigTest, AFileOfASecretIsReadAgainForEachConnect) {
    Variables files{{"/db", "old\n"}, {"/url", "postgresql://me:old@h/d"}, {"/kafka", "k-old"}};
    const auto config_of = [&files](Variables environment) {
        auto sources = sources_of(std::move(environment));
        sources.read_file = [&files](const std::string& path) -> Result<std::string> {
            if (files.contains(path)) return files.at(path);
            return fail(Code::not_found, "no such file");
        };
        return load(sources).value().config;
    };
    const auto by_file = config_of(
        {{"DATABASE_PASSWORD_FILE", "/db"},
         {"KAFKA_SECURITY_PROTOCOL", "sasl_ssl"},
         {"KAFKA_SASL_MECHANISM", "PLAIN"},
         {"KAFKA_SASL_USERNAME", "me"},
         {"KAFKA_SASL_PASSWORD_FILE", "/kafka"}}
    );
    const auto by_url = config_of({{"DATABASE_URL_FILE", "/url"}});
    const auto password = [](const Config& config) {
        const auto text = config.database.connect_info().get();
        return text ? text->substr(text->find("password=")).substr(0, 14) : text.error().what();
    };
    EXPECT_EQ(password(by_file), "password='old'");
    EXPECT_EQ(by_file.kafka.renewed()->producer.at("sasl.password"), "k-old");
    files = {{"/db", "new\r\n"}, {"/url", "postgresql://me:new@h/d"}, {"/kafka", "k-new"}};
    EXPECT_EQ(password(by_file), "password='new'");
    EXPECT_EQ(password(by_url), "password='new'");
    EXPECT_EQ(by_file.kafka.renewed()->client.at("sasl.password"), "k-new");
    // While it is replaced, and whatever happens to the other one.
    files = {{"/kafka", "\n"}, {"/db", "newest"}};
    EXPECT_EQ(password(by_file), "password='newe");
    const auto empty = by_file.kafka.renewed();
    ASSERT_FALSE(empty);
    EXPECT_TRUE(empty.error().retryable());
    EXPECT_TRUE(has(empty.error().what(), "KAFKA_SASL_PASSWORD_FILE=/kafka: is empty"));
    files.erase("/db");
    EXPECT_TRUE(has(password(by_file), "DATABASE_PASSWORD_FILE=/db: no such file"));
}

TEST(ConfigTest, APipeOfASecretIsReadOnceAndItsTextKept) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    ASSERT_EQ(write(ends[1], "piped\n", 6), 6);
    close(ends[1]);
    const auto read_file = gather("/dev/null").value().read_file;
    const auto path = "/dev/fd/" + std::to_string(ends[0]);
    EXPECT_EQ(read_file(path).value(), "piped\n");
    EXPECT_EQ(read_file(path).value(), "piped\n");
    close(ends[0]);
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

TEST(ConfigTest, AUrlIsReadAsLibpqReadsIt) {
    const auto database = [](const char* url) {
        return loaded({{"DATABASE_URL", url}}).config.database;
    };
    EXPECT_EQ(database("postgres://[::1]:5433/d").host, "::1");
    EXPECT_EQ(database("postgres://a,b/d").host, "a,b");
    EXPECT_EQ(database("postgres://a,b/d").port, "5432") << "one for both";
    EXPECT_EQ(database("postgres://a:1,b:2/d").port, "1,2");
    EXPECT_EQ(database("postgres:///d?host=%2Ftmp").host, "/tmp");
    EXPECT_EQ(database("postgres://h/d?ssl=true").ssl_mode, "require") << "as JDBC says it";
    EXPECT_EQ(database("postgres://h/d?user=u%26u").user, "u&u");
}

TEST(ConfigTest, OfAUrlThatCannotBeReadNoValueIsRepeated) {
    for (const char* url :
         {"postgres://u:sEcret%zz@h/d",
          "postgres://u:p@h:sEcret/d",
          "postgres://h/d?sEcret",
          "postgres://h/d?sEcret=1",
          "postgres://h/d?password=%00sEcret",
          "postgres://[sEcret/d",
          "postgres://h/d?service=sEcret",
          "postgres://h/d?replication=sEcret",
          "host=h password=sEcret"}) {
        const auto text = problems({{"DATABASE_URL", url}});
        EXPECT_TRUE(text.starts_with("DATABASE_URL (environment) (not shown"))
            << url << ": " << text;
        EXPECT_FALSE(has(text, "sEcret")) << text;
    }
}

TEST(ConfigTest, OfSeveralUrlsTheFirstCountsWhole) {
    const auto all = loaded(
        {{"DATABASE_URL", "postgresql://me@first/shop?application_name=one"}},
        "DATABASE_URL=postgresql://you:s3cret@second/other?sslrootcert=/"
        "ca&target_session_attrs=any\n"
    );
    EXPECT_EQ(all.config.database.host, "first");
    EXPECT_EQ(all.config.database.password, "") << "it is the other server's";
    const Config::Properties wanted{{"application_name", "one"}};
    EXPECT_EQ(all.config.database.parameters, wanted);
    EXPECT_EQ(effective(all, "DATABASE_URL?application_name").value, "one");
    const auto secret = loaded({{"DATABASE_URL", "postgresql://h/d?sslpassword=s3cret"}});
    EXPECT_EQ(effective(secret, "DATABASE_URL?sslpassword").value, "****");
}

TEST(ConfigTest, AUrlAndANameBesideItMayNotDiffer) {
    const std::string url = "DATABASE_URL=postgresql://me:s3cret@db.example/shop\n";
    const auto text = problems({}, url + "DATABASE_HOST=localhost\nDATABASE_PASSWORD=other\n");
    EXPECT_TRUE(has(text, "DATABASE_HOST and DATABASE_URL (.env) differ")) << text;
    EXPECT_TRUE(has(text, "DATABASE_PASSWORD and DATABASE_URL (.env) differ")) << text;
    EXPECT_FALSE(has(text, "s3cret") || has(text, "other")) << text;
    EXPECT_EQ(problems({}, url + "DATABASE_HOST=db.example\nDATABASE_PASSWORD=\n"), "");
    EXPECT_EQ(problems({{"DATABASE_NAME", "another"}}, url), "") << "the environment wins";
}

TEST(ConfigTest, TheExampleDisarmsNeitherAUrlNorLibpqsNames) {
    const auto example = file(".env.example");
    const auto url =
        loaded({}, example + "DATABASE_URL=postgresql://me:pw@db.example/shop\n").config.database;
    EXPECT_EQ(url.host, "db.example");
    EXPECT_EQ(url.password, "pw");
    EXPECT_EQ(loaded({{"PGHOST", "pg"}}, example).config.database.host, "pg");
    // Each line is fit to be uncommented.
    std::string all;
    for (std::size_t at = 0; at < example.size();) {
        const auto end = example.find('\n', at);
        const auto line = example.substr(at, end - at);
        if (line.starts_with('#') && !line.starts_with("# ")) all += line.substr(1) + "\n";
        at = end + 1;
    }
    EXPECT_TRUE(has(all, "SERVER_PORT=8080\n"));
    EXPECT_EQ(problems({}, all), "");
}

TEST(ConfigTest, LibpqsNamesCountInTheFileToo) {
    const auto all = loaded({{"PGUSER", "env"}}, "PGHOST=pg\nPGUSER=file\nPGPASSWORD=s3cret\n");
    EXPECT_EQ(all.config.database.host, "pg");
    EXPECT_EQ(all.config.database.user, "env");
    EXPECT_EQ(all.config.database.password, "s3cret");
    EXPECT_EQ(effective(all, "DATABASE_HOST").source, "PGHOST (.env)");
    EXPECT_TRUE(has(problems({}, "PGSSLROOTCERT=/ca\n"), "PGSSLROOTCERT is not read from .env"));
    EXPECT_EQ(problems({{"PGSSLROOTCERT", "/ca"}}), "") << "libpq reads it itself";
}

TEST(ConfigTest, PartsOfADatabaseThatCannotBeAreNamed) {
    EXPECT_TRUE(has(problems({{"DATABASE_PORT", "abc"}}), "DATABASE_PORT=abc"));
    EXPECT_TRUE(has(problems({{"DATABASE_PORT", "0"}}), "DATABASE_PORT=0"));
    EXPECT_TRUE(has(problems({{"DATABASE_PORT", "1,2"}}), "2 ports and DATABASE_HOST 1 hosts"));
    EXPECT_EQ(problems({{"DATABASE_PORT", "1,2"}, {"DATABASE_HOST", "a,b"}}), "");
    const auto port = problems({{"DATABASE_URL", "postgresql://h:99999/d"}});
    EXPECT_TRUE(has(port, "DATABASE_PORT=99999 (DATABASE_URL (environment))")) << port;
    const auto parameter = problems({{"DATABASE_URL", "postgresql://h/d?foo=bar"}});
    EXPECT_TRUE(has(parameter, "the parameter foo")) << parameter;
    for (const char* url :
         {"postgres://u:123/sEcret@h/d",
          "postgres://u:12?sEcret=1@h/d",
          "postgres://u:a@b/sEcret@h/d"}) {
        const auto text = problems({{"DATABASE_URL", url}});
        EXPECT_TRUE(has(text, "%2F")) << text;
        EXPECT_FALSE(has(text, "sEcret")) << text;
    }
}

TEST(ConfigTest, BrokersAreHostsWithPorts) {
    for (const char* good :
         {"localhost:9092",
          "a,b:1, c-1.example:65535",
          "PLAINTEXT://h:9092",
          "[::1]:9092",
          "10.0.0.1"})
        EXPECT_EQ(problems({{"KAFKA_BROKERS", good}}), "") << good;
    for (const char* bad :
         {"", "foo bar", "h:", "h:0", "h:65536", "h:x", "a,,b", "a,", "http:/x", "h/x"})
        EXPECT_TRUE(has(problems({{"KAFKA_BROKERS", bad}}), std::string("KAFKA_BROKERS=") + bad))
            << bad;
}

TEST(ConfigTest, TheMetricsHaveAPathOfTheirOwn) {
    for (const char* good : {"/metrics", "/internal/metrics-1", "/healthz"})
        EXPECT_EQ(loaded({{"METRICS_PATH", good}}).config.metrics.path, good);
    for (const char* bad :
         {"/health",
          "/livez",
          "/readyz",
          "/ready",
          "/api/v1/orders",
          "/",
          "metrics",
          "/metrics?x=1",
          "/a b",
          "/a//b",
          "/a/",
          "/{x}",
          "/.."})
        EXPECT_TRUE(has(problems({{"METRICS_PATH", bad}}), std::string("METRICS_PATH=") + bad));
}

TEST(ConfigTest, PropertiesOfKafkaReachEveryClientAndHideTheirSecrets) {
    const auto all = loaded(
        {{"KAFKA_SECURITY_PROTOCOL", "sasl_ssl"},
         {"KAFKA_SASL_MECHANISM", "GSSAPI"},
         {"KAFKA_SSL_CERTIFICATE_LOCATION", "/certificate"},
         {"KAFKA_PROPERTY_ssl__key__pem", "s3cret"},
         {"KAFKA_PROPERTY_ssl__keystore__password", "s3cret"},
         {"KAFKA_PROPERTY_sasl__oauthbearer__client__secret", "s3cret"},
         {"KAFKA_PROPERTY_socket__timeout__ms", "1000"},
         {"KAFKA_PROPERTY_batch__size", "1000"}}
    );
    EXPECT_FALSE(has(render_table(all.effective) + render_json(all.effective), "s3cret"));
    EXPECT_EQ(effective(all, "KAFKA_PROPERTY_socket__timeout__ms").value, "1000");
    for (const auto* properties : {&all.config.kafka.client, &all.config.kafka.producer}) {
        EXPECT_EQ(properties->at("ssl.key.pem"), "s3cret");
        EXPECT_EQ(properties->at("socket.timeout.ms"), "1000");
    }
    EXPECT_EQ(all.config.kafka.producer.at("batch.size"), "1000");
}

TEST(ConfigTest, PropertiesThatDeliveryRestsOnOrThatHaveASettingAreRefused) {
    const std::vector<std::pair<std::string, std::string>> refused{
        {"delivery__report__only__error", "report"},
        {"security__protocol", "KAFKA_SECURITY_PROTOCOL"},
        {"sasl__mechanism", "KAFKA_SASL_MECHANISM"},
        {"sasl__mechanisms", "KAFKA_SASL_MECHANISM"},
        {"sasl__username", "KAFKA_SASL_USERNAME"},
        {"sasl__password", "KAFKA_SASL_PASSWORD"},
        {"linger__ms", "KAFKA_LINGER"},
        {"ssl__ca__location", "KAFKA_SSL_CA_LOCATION"},
        {"ssl__key__password", "KAFKA_SSL_KEY_PASSWORD"},
        {"compression__codec", "KAFKA_COMPRESSION"},
    };
    for (const auto& [property, remedy] : refused) {
        const auto text = problems({{"KAFKA_PROPERTY_" + property, "s3cret"}});
        EXPECT_TRUE(has(text, property) && has(text, remedy)) << text;
        EXPECT_FALSE(has(text, "s3cret"));
    }
}

TEST(ConfigTest, AValueOfAnyBytesCanBePrinted) {
    const auto all = loaded({{"DATABASE_USER", "\xff\xfe"}});
    EXPECT_TRUE(has(render_json(all.effective), "DATABASE_USER"));
}

TEST(ConfigTest, ADirectoryIsNoFile) {
    const auto read = gather("/");
    ASSERT_FALSE(read);
    EXPECT_TRUE(has(read.error().front().message, "is a directory"));
    const auto sources = gather("/dev/null");
    ASSERT_TRUE(sources);
    const auto secret = sources->read_file("/");
    ASSERT_FALSE(secret);
    EXPECT_TRUE(has(secret.error().what(), "is a directory"));
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
}  // namespace txstream::config
