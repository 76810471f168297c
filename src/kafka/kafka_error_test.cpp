#include "kafka/kafka_error.hpp"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

namespace txstream::kafka {
namespace {

// What librdkafka 2.0.2 reported when each was tried against Kafka 4.3.1.
TEST(TroubleTest, TheReasonIsReadFromWhatLibrdkafkaSays) {
    struct Case {
        std::string_view kind;
        int code;
        std::string_view text;
    };
    constexpr auto kTransport = RD_KAFKA_RESP_ERR__TRANSPORT;
    constexpr auto kSsl = RD_KAFKA_RESP_ERR__SSL;
    constexpr auto kLogin = RD_KAFKA_RESP_ERR__AUTHENTICATION;
    const Case cases[] = {
        {"unresolved_host",
         RD_KAFKA_RESP_ERR__RESOLVE,
         "h.invalid:9092/bootstrap: Failed to resolve 'h.invalid:9092': Name or service not known"},
        {"connection_refused",
         kTransport,
         "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused"},
        {"tls_demanded",
         kTransport,
         "h:1/bootstrap: Disconnected while requesting ApiVersion: might be caused by incorrect "
         "security.protocol configuration (connecting to a SSL listener?) or broker version is < "
         "0.10"},
        // A web server, whose "HTTP" is read as a length.
        {"tls_demanded",
         kTransport,
         "h:1/bootstrap: Receive failed: Invalid response size 1213486160 (0..100000000): increase "
         "receive.message.max.bytes"},
        {"no_answer", RD_KAFKA_RESP_ERR__TIMED_OUT, "no metadata: Local: Timed out"},
        {"tls_not_offered",
         kSsl,
         "ssl://h:1/bootstrap: SSL handshake failed: error:0A000126:SSL routines::unexpected eof "
         "while reading"},
        {"certificate_refused",
         kSsl,
         "ssl://h:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate "
         "verify failed: broker certificate could not be verified"},
        {"certificate_refused",
         kTransport,
         "ssl://h:1/bootstrap: error:0A000086:SSL routines::certificate verify failed"},
        {"client_certificate_refused",
         kSsl,
         "ssl://h:1/1: error:0A00045C:SSL routines::tlsv13 alert certificate required"},
        {"login_refused",
         kLogin,
         "sasl_ssl://h:1/bootstrap: SASL authentication error: Authentication failed: Invalid "
         "username or password"},
        {"mechanism_refused",
         kLogin,
         "sasl_ssl://h:1/bootstrap: SASL SCRAM-SHA-512 mechanism handshake failed: Broker: "
         "Unsupported SASL mechanism: broker's supported mechanisms: PLAIN"},
        {"sasl_not_offered",
         kLogin,
         "sasl_plaintext://h:1/bootstrap: SASL PLAIN mechanism handshake failed: Broker: Request "
         "not valid in current SASL state: broker's supported mechanisms: "},
        {"login_demanded",
         kTransport,
         "h:1/bootstrap: Disconnected: verify that security.protocol is correctly configured, "
         "broker might require SASL authentication"},
        {"disconnected", kTransport, "alert.example:1/1: Disconnected"},
    };
    for (const auto& one : cases) {
        const auto timed = std::string(one.text) + " (after 4ms in state X, 1 identical error(s))";
        const auto error = connection_error(one.code, timed);
        EXPECT_EQ(error.origin(), one.kind) << one.text;
        EXPECT_TRUE(error.retryable()) << one.text;
        EXPECT_EQ(error.what().find("identical"), std::string::npos) << error.what();
        EXPECT_NE(error.what().find(one.text), std::string::npos) << error.what();
        EXPECT_TRUE(error.what().starts_with(advice_of(one.kind))) << error.what();
    }
}

TEST(TroubleTest, ALoginByScramThatThisLibraryCannotDoIsSaidToBeThat) {
    const auto text =
        "sasl_ssl://h:1/bootstrap: SASL authentication error: Authentication failed during "
        "authentication due to invalid credentials with SASL mechanism SCRAM-SHA-256";
    const auto error = connection_error(RD_KAFKA_RESP_ERR__AUTHENTICATION, text);
    const bool is_told = error.what().find("librdkafka 2.6.1") != std::string::npos;
    EXPECT_EQ(is_told, rd_kafka_version() < 0x020601ff) << error.what();
}

TEST(OutcomeTest, OnlyWhatCannotChangeRefusesAnEvent) {
    EXPECT_EQ(outcome_of(0), Outcome::acknowledged);
    EXPECT_EQ(outcome_of(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE), Outcome::refused_event);
    EXPECT_EQ(outcome_of(RD_KAFKA_RESP_ERR_INVALID_MSG), Outcome::refused_for_now);
    EXPECT_EQ(outcome_of(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART), Outcome::refused_topic);
    for (const int code :
         {int{RD_KAFKA_RESP_ERR__FATAL}, int{RD_KAFKA_RESP_ERR__TRANSPORT}, 12'345})
        EXPECT_EQ(outcome_of(code), Outcome::retryable) << code;
}

// librdkafka writes the names of unknown codes into one buffer for each thread.
TEST(OutcomeTest, ANameLastsAlsoThatOfACodeWhichLibrdkafkaDoesNotKnow) {
    const auto first = name_of(12'345);
    for (int code = 12'346; code < 12'400; ++code) (void)name_of(code);
    EXPECT_EQ(first, "ERR_12345?");
    EXPECT_EQ(name_of(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE), "MSG_SIZE_TOO_LARGE");
}

}  // namespace
}  // namespace txstream::kafka
