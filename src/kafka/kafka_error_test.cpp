#include "kafka/kafka_error.hpp"

#include "kafka/error_table.hpp"

#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>

#include <chrono>
#include <set>
#include <string>
#include <vector>

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

struct Classified {
    ErrorClass kind;
    std::vector<int> codes;
};

// Written out a second time: a code that changes its class by accident is found here.
TEST(OutcomeTest, EachCodeHasItsClassAndNoneIsLeftOut) {
    const Classified expected[] = {
        {ErrorClass::retryable,
         {-199, -198, -196, -195, -194, -193, -192, -187, -185, -184, -183, -182, -181, -180,
          -178, -177, -172, -171, -170, -169, -167, -166, -164, -163, -155, -153, -146, -1,
          5,    6,    7,    8,    9,    11,   13,   14,   15,   16,   19,   20,   21,   33,
          34,   35,   41,   42,   54,   56,   57,   58,   60,   74,   75,   77,   83,   89}},
        {ErrorClass::withdrawn, {-197, -152, -151}},
        {ErrorClass::producer,
         {-165, -150, -149, -148, -144, 45, 46, 47, 48, 49, 51, 52, 53, 59, 90}},
        {ErrorClass::for_now, {2}},
        {ErrorClass::event, {-186, 4, 10, 17, 18, 87}},
        {ErrorClass::topic, {-190, -188, 3, 29, 31, 32, 43, 44, 76}},
    };
    std::size_t count = 0;
    for (const auto& [kind, codes] : expected) {
        for (const int code : codes) {
            const auto* const row = find_error(code);
            ASSERT_NE(row, nullptr) << code;
            EXPECT_EQ(row->kind, kind) << row->name;
            EXPECT_EQ(outcome_of(code), outcome_of(kind)) << row->name;
            ++count;
        }
    }
    EXPECT_EQ(error_table().size(), count);
}

TEST(OutcomeTest, ACodeHasOneRowWithTheNameThatLibrdkafkaReports) {
    std::set<int> codes;
    for (const auto& row : error_table()) {
        EXPECT_TRUE(codes.insert(row.code).second) << row.name;
        EXPECT_EQ(row.name, name_of(row.code));
        EXPECT_NE(
            render_error_docs().find("| `" + std::string(row.name) + "` |"), std::string::npos
        );
    }
}

TEST(OutcomeTest, OnlyWhatCannotChangeRefusesAnEvent) {
    EXPECT_EQ(outcome_of(0), Outcome::acknowledged);
    EXPECT_EQ(outcome_of(RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE), Outcome::refused_event);
    EXPECT_EQ(outcome_of(RD_KAFKA_RESP_ERR_INVALID_MSG), Outcome::refused_for_now);
    EXPECT_EQ(outcome_of(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART), Outcome::refused_topic);
    EXPECT_EQ(outcome_of(RD_KAFKA_RESP_ERR__FATAL), Outcome::retryable);
}

TEST(OutcomeTest, AnUnknownCodeIsRetryableAndWorthALineOnceAMinute) {
    EXPECT_EQ(outcome_of(12'345), Outcome::retryable);
    UnknownCodes codes;
    const UnknownCodes::Clock::time_point start{};
    using namespace std::chrono_literals;
    EXPECT_TRUE(codes.met(12'345, start));
    EXPECT_FALSE(codes.met(12'345, start + 59s));
    EXPECT_TRUE(codes.met(12'346, start + 59s)) << "another one has a line of its own";
    EXPECT_TRUE(codes.met(12'345, start + 60s));
    EXPECT_FALSE(codes.met(12'345, start + 119s));
}

TEST(OutcomeTest, ALineIsWrittenOfUnknownCodesOnly) {
    EXPECT_FALSE(unknown_code(0));
    EXPECT_FALSE(unknown_code(RD_KAFKA_RESP_ERR__TRANSPORT));
    const auto line = unknown_code(23'456);
    ASSERT_TRUE(line);
    EXPECT_NE(line->find("23456"), std::string::npos) << *line;
    EXPECT_FALSE(unknown_code(23'456)) << "not twice in a minute";
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
