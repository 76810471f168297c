#include "kafka/kafka_error.hpp"

#include "kafka/detail/handles.hpp"
#include "kafka/error_table.hpp"

#include <librdkafka/rdkafka.h>

#include <array>
#include <map>
#include <mutex>
#include <utility>

namespace txstream::kafka {

namespace {

constexpr Trouble kUnresolved{
    "unresolved_host",
    "the name of a Kafka broker cannot be resolved: check KAFKA_BROKERS, the broker's "
    "advertised.listeners, and DNS"
};
constexpr Trouble kMechanismRefused{
    "mechanism_refused",
    "Kafka does not offer this SASL mechanism on this port: check KAFKA_SASL_MECHANISM and "
    "KAFKA_SECURITY_PROTOCOL"
};
constexpr Trouble kNoSasl{
    "sasl_not_offered",
    "Kafka takes no SASL login on this port: check KAFKA_SECURITY_PROTOCOL and the port in "
    "KAFKA_BROKERS"
};
constexpr Trouble kWrongLogin{
    kLoginRefused,
    "Kafka refuses the login: check KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD and "
    "KAFKA_SASL_MECHANISM"
};
constexpr Trouble kLoginDemanded{
    "login_demanded",
    "Kafka closed the connection before a login: it is starting or stopping, or this port demands "
    "one; then set KAFKA_SECURITY_PROTOCOL to "
    "sasl_plaintext or sasl_ssl, with KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and "
    "KAFKA_SASL_PASSWORD"
};
constexpr Trouble kCertificateRefused{
    "certificate_refused",
    "Kafka's certificate is not accepted: check that KAFKA_SSL_CA_LOCATION names the CA that "
    "signed it, and KAFKA_BROKERS a host that it was made for"
};
constexpr Trouble kOurCertificateRefused{
    "client_certificate_refused",
    "Kafka does not accept our certificate, or wants one: check KAFKA_SSL_CERTIFICATE_LOCATION "
    "and KAFKA_SSL_KEY_LOCATION"
};
constexpr Trouble kNoTls{
    "tls_not_offered",
    "Kafka does not speak TLS on this port: check KAFKA_SECURITY_PROTOCOL and the port in "
    "KAFKA_BROKERS"
};
constexpr Trouble kTlsDemanded{
    "tls_demanded",
    "Kafka does not answer without TLS on this port, or it is no Kafka: check "
    "KAFKA_SECURITY_PROTOCOL and the port in KAFKA_BROKERS"
};
constexpr Trouble kRefused{
    "connection_refused",
    "no Kafka listens there: check KAFKA_BROKERS, the broker's advertised.listeners, and whether "
    "Kafka runs"
};
constexpr Trouble kSilent{
    "no_answer",
    "Kafka does not answer in time: check KAFKA_BROKERS, firewalls, and the load of the broker"
};
constexpr Trouble kBroken{kDisconnected, "the connection to Kafka broke"};

struct Clue {
    int code;  // 0: any
    std::string_view text;
    Trouble trouble;
};

// The first that fits counts. Seen with librdkafka 2.0.2, OpenSSL 3 and Kafka 4.3
// (kafka_error_test.cpp has the texts).
constexpr std::array kClues{
    Clue{RD_KAFKA_RESP_ERR__RESOLVE, "", kUnresolved},
    Clue{RD_KAFKA_RESP_ERR__AUTHENTICATION, "Unsupported SASL mechanism", kMechanismRefused},
    Clue{RD_KAFKA_RESP_ERR__AUTHENTICATION, "not valid in current SASL state", kNoSasl},
    Clue{RD_KAFKA_RESP_ERR__AUTHENTICATION, "", kWrongLogin},
    Clue{0, "might require SASL authentication", kLoginDemanded},
    Clue{0, "certificate verify failed", kCertificateRefused},
    Clue{0, " alert ", kOurCertificateRefused},
    Clue{RD_KAFKA_RESP_ERR__SSL, "", kNoTls},
    Clue{0, "SSL_HANDSHAKE", kNoTls},
    Clue{0, "incorrect security.protocol", kTlsDemanded},
    Clue{0, "Invalid response size", kTlsDemanded},
    Clue{0, "Connection refused", kRefused},
    Clue{RD_KAFKA_RESP_ERR__TIMED_OUT, "", kSilent},
    Clue{0, "timed out", kSilent},
    Clue{0, "timeout", kSilent},
};

constexpr std::string_view kScramAdvice =
    "; against Kafka 4, SCRAM needs librdkafka 2.6.1 or newer: use PLAIN over sasl_ssl";

}  // namespace

Outcome outcome_of(int code) noexcept {
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return Outcome::acknowledged;
    // Also whatever a future broker invents: waiting loses nothing, parking might.
    const auto* const row = find_error(code);
    return row == nullptr ? Outcome::retryable : outcome_of(row->kind);
}

std::optional<std::string> unknown_code(int code) {
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || find_error(code) != nullptr) return std::nullopt;
    static std::mutex mutex;
    static UnknownCodes codes;
    const std::scoped_lock lock(mutex);
    if (!codes.met(code, UnknownCodes::Clock::now())) return std::nullopt;
    return "Kafka reports error code " + std::to_string(code) + " (" + std::string(name_of(code)) +
           "), which has no known meaning; the record is sent again";
}

std::string_view name_of(int code) {
    // librdkafka's own text of a code that it does not know is overwritten by later calls.
    static std::mutex mutex;
    static std::map<int, std::string> names;
    const std::scoped_lock lock(mutex);
    const auto [place, is_new] = names.try_emplace(code);
    if (is_new) place->second = rd_kafka_err2name(static_cast<rd_kafka_resp_err_t>(code));
    return place->second;
}

Error to_error(int code, std::string what) {
    std::string origin(name_of(code));
    switch (outcome_of(code)) {
        case Outcome::refused_topic:
            return Error(Code::not_found, std::move(what), std::move(origin));
        case Outcome::refused_event:
            return Error(Code::rejected, std::move(what), std::move(origin));
        case Outcome::acknowledged:
        case Outcome::refused_for_now:
        case Outcome::retryable:
            break;
    }
    const bool unanswered = code == RD_KAFKA_RESP_ERR__TIMED_OUT ||
                            code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT ||
                            code == RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT;
    return Error(
        unanswered ? Code::timed_out : Code::unavailable, std::move(what), std::move(origin)
    );
}

Trouble trouble_of(int code, std::string_view text) noexcept {
    for (const auto& clue : kClues) {
        if ((clue.code == 0 || clue.code == code) && text.find(clue.text) != std::string_view::npos)
            return clue.trouble;
    }
    return kBroken;
}

std::string_view advice_of(std::string_view kind) noexcept {
    for (const auto& clue : kClues) {
        if (clue.trouble.kind == kind) return clue.trouble.advice;
    }
    return kind == kDisconnected ? kBroken.advice : "Kafka cannot be used; the log says why";
}

Error connection_error(int code, std::string_view text) {
    const auto trouble = trouble_of(code, text);
    // Drop how long it took and how often it happened: with them, each text would be a new one.
    if (const auto at = text.find(" (after "); at != std::string_view::npos)
        text = text.substr(0, at);
    std::string what(trouble.advice);
    if (trouble.kind == kLoginRefused && text.find("SCRAM") != std::string_view::npos &&
        rd_kafka_version() < detail::kScramWorksSince)
        what += kScramAdvice;
    what.append(" (").append(text).append(")");
    return Error(Code::unavailable, std::move(what), std::string(trouble.kind));
}

}  // namespace txstream::kafka
