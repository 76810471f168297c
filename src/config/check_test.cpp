#include "config/check.hpp"

#include "config/fixture.hpp"
#include "kafka/producer.hpp"

#include <algorithm>
#include <vector>

namespace txstream::config {
namespace {

TEST(ConfigCheckTest, SecurityThatCannotWorkIsRefusedAndTheRemedyIsNamed) {
    const Variables plain{
        {"KAFKA_SECURITY_PROTOCOL", "sasl_plaintext"},
        {"KAFKA_SASL_MECHANISM", "PLAIN"},
        {"KAFKA_SASL_USERNAME", "me"},
        {"KAFKA_SASL_PASSWORD", "s3cret"}
    };
    EXPECT_EQ(problems(plain), "");
    struct Case {
        Variables change;
        std::string_view told;
    };
    const Case cases[] = {
        {{{"KAFKA_SECURITY_PROTOCOL", "plaintext"}},
         "KAFKA_SASL_MECHANISM, KAFKA_SASL_PASSWORD, KAFKA_SASL_USERNAME have no effect with "
         "KAFKA_SECURITY_PROTOCOL=plaintext; set that to sasl_ssl"},
        {{{"KAFKA_SECURITY_PROTOCOL", "ssl"}}, "no effect with KAFKA_SECURITY_PROTOCOL=ssl"},
        {{{"KAFKA_SASL_MECHANISM", ""}}, "needs KAFKA_SASL_MECHANISM"},
        {{{"KAFKA_SASL_USERNAME", ""}}, "KAFKA_SASL_MECHANISM=PLAIN needs KAFKA_SASL_USERNAME"},
        {{{"KAFKA_SASL_MECHANISM", "scram-sha-512"}, {"KAFKA_SASL_PASSWORD", ""}},
         "KAFKA_SASL_MECHANISM=SCRAM-SHA-512 needs KAFKA_SASL_PASSWORD"},
        {{{"KAFKA_SASL_MECHANISM", "OAUTHBEARER"}},
         "KAFKA_SASL_MECHANISM=OAUTHBEARER needs KAFKA_PROPERTY_sasl__oauthbearer__method=oidc and "
         "KAFKA_PROPERTY_sasl__oauthbearer__token__endpoint__url and"},
        {{{"KAFKA_SSL_CA_LOCATION", "/ca"}}, "KAFKA_SSL_CA_LOCATION has no effect"},
        {{{"KAFKA_PROPERTY_ssl__cipher__suites", "x"}}, "KAFKA_PROPERTY_ssl__cipher__suites has no"
        },
        {{{"KAFKA_SECURITY_PROTOCOL", "sasl_ssl"}, {"KAFKA_SSL_KEY_LOCATION", "/key"}},
         "needs KAFKA_SSL_CERTIFICATE_LOCATION"},
        {{{"KAFKA_SECURITY_PROTOCOL", "sasl_ssl"}, {"KAFKA_SSL_CERTIFICATE_LOCATION", "/crt"}},
         "needs KAFKA_SSL_KEY_LOCATION"},
        {{{"KAFKA_SECURITY_PROTOCOL", "sasl_ssl"}, {"KAFKA_SSL_KEY_PASSWORD", "s3cret"}},
         "KAFKA_SSL_KEY_PASSWORD needs KAFKA_SSL_KEY_LOCATION"},
        {{{"KAFKA_BROKERS", "a:1, SSL://b:2"}}, "SSL://b:2 of KAFKA_BROKERS and"},
        // What follows from a mistake is no second one.
        {{{"KAFKA_SECURITY_PROTOCOL", "sasl"}}, "KAFKA_SECURITY_PROTOCOL=sasl"},
        {{{"KAFKA_SASL_MECHANISM", "PLAINN"}}, "KAFKA_SASL_MECHANISM=PLAINN"},
    };
    for (const auto& [change, told] : cases) {
        auto variables = change;
        variables.insert(plain.begin(), plain.end());
        const auto text = problems(variables);
        EXPECT_TRUE(has(text, told)) << text;
        EXPECT_EQ(std::ranges::count(text, '\n'), 1) << text;
        EXPECT_FALSE(has(text, "s3cret")) << text;
    }
    const auto file = problems(
        {{"KAFKA_SECURITY_PROTOCOL", "sasl_ssl"},
         {"KAFKA_SASL_MECHANISM", "PLAIN"},
         {"KAFKA_SASL_USERNAME", "me"},
         {"KAFKA_SASL_PASSWORD_FILE", "/missing"}}
    );
    EXPECT_EQ(std::ranges::count(file, '\n'), 1) << file;
}

TEST(ConfigCheckTest, LimitsThatContradictEachOtherAreRefusedUnlessOneIsWrongItself) {
    EXPECT_TRUE(
        has(problems({{"WORKER_BATCH_BYTES", "8MiB"}, {"WORKER_IN_FLIGHT_BYTES", "4MiB"}}),
            "WORKER_BATCH_BYTES is more than WORKER_IN_FLIGHT_BYTES")
    );
    EXPECT_TRUE(has(problems({{"KAFKA_TOPIC_REPLICATION_FACTOR", "0"}}), "=0"));
    EXPECT_TRUE(
        has(problems({{"SERVER_HOST", "0.0.0.0"}, {"SERVER_PORT", "9091"}}), "is SERVER_PORT too")
    );
    EXPECT_TRUE(
        has(problems({{"DATABASE_URL", "postgresql://h/d?sslmode=disable&sslrootcert=/ca"}}),
            "sslrootcert of DATABASE_URL has no effect")
    );
    const auto one = problems({{"WORKER_POLL_MIN", "soon"}, {"WORKER_INTERVAL", "1ms"}});
    EXPECT_EQ(std::ranges::count(one, '\n'), 1) << one;
}

TEST(ConfigCheckTest, EveryMistakeIsFoundAtOnceWhereverItIs) {
    auto sources = sources_of(
        {{"SERVER_PORT", "70000"},
         {"KAFKA_MESSAGE_BYTES_MAX", "much"},
         {"KAFKA_SECURITY_PROTOCOL", "ssl"},
         {"KAFKA_SSL_CA_LOCATION", "/no/ca.pem"},
         {"KAFKA_SSL_CERTIFICATE_LOCATION", "/no/crt.pem"},
         {"KAFKA_SSL_KEY_LOCATION", "/no/key.pem"},
         {"KAFKA_PROPERTY_batch__size", "-5"},
         {"KAFKA_PROPERTY_LINGER_MS", "5"},
         {"KAFKA_PROPERTY_socket__timeout__mss", "5"},
         {"KAFKA_PROPERTY_retries", "0"},
         {"DATABASE_URL", "postgresql://h/d?sslmode=verify-full&sslrootcert=/no/root.crt"},
         {"LOGGING_OUTPUT_PATH", "/no/log"}}
    );
    std::string text;
    const auto found = check_all(judge(sources)).problems;
    for (const auto& problem : found) text += problem.message + "\n";
    for (const char* told :
         {"SERVER_PORT=70000",
          "KAFKA_MESSAGE_BYTES_MAX=much",
          "KAFKA_SSL_CA_LOCATION=/no/ca.pem: cannot be read",
          "KAFKA_SSL_CERTIFICATE_LOCATION=/no/crt.pem",
          "KAFKA_SSL_KEY_LOCATION=/no/key.pem",
          "KAFKA_PROPERTY_batch__size=-5",
          "did you mean KAFKA_LINGER?",
          "did you mean KAFKA_PROPERTY_socket__timeout__ms?",
          "KAFKA_PROPERTY_retries=0",
          "sslrootcert=/no/root.crt",
          "LOGGING_OUTPUT_PATH=/no/log"})
        EXPECT_TRUE(has(text, told)) << told << " is not in\n" << text;
    EXPECT_EQ(found.size(), 11U) << text;
}

TEST(ConfigCheckTest, NoGuaranteeOfTheProducerCanBeSet) {
    for (const auto& [name, value] : kafka::with_guarantees({}, kafka::Producer::Order::gapless)) {
        const auto text = problems({{"KAFKA_PROPERTY_" + name, value}});
        EXPECT_TRUE(has(text, name + " cannot be set: ")) << text;
    }
}

TEST(ConfigCheckTest, PropertiesThatContradictTheProducerAreFoundWithoutABroker) {
    const auto good = loaded({{"KAFKA_PROPERTY_socket__timeout__ms", "1000"}});
    EXPECT_TRUE(check_kafka(good, {}).problems.empty());
    const auto bad = loaded(
        {{"KAFKA_PROPERTY_retries", "0"},
         {"KAFKA_PROPERTY_socket__timeout__ms", "1000"},
         {"KAFKA_PROPERTY_max__in__flight", "100"},
         {"KAFKA_PROPERTY_queuing__strategy", "lifo"},
         {"KAFKA_PROPERTY_foo__bar", "1"}}
    );
    const auto found = check_kafka(bad, {}).problems;
    std::vector<std::string> names;
    for (const auto& problem : found) names.push_back(problem.name);
    const std::vector<std::string> wanted{
        "KAFKA_PROPERTY_foo__bar",
        "KAFKA_PROPERTY_max__in__flight",
        "KAFKA_PROPERTY_queuing__strategy",
        "KAFKA_PROPERTY_retries"
    };
    EXPECT_EQ(names, wanted);
    EXPECT_TRUE(has(found.back().message, "KAFKA_PROPERTY_retries=0 (environment)"));
}

}  // namespace
}  // namespace txstream::config
