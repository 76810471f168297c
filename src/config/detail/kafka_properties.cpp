#include "config/detail/kafka_properties.hpp"

#include "base/text.hpp"
#include "config/detail/kinds.hpp"

#include <algorithm>
#include <array>

namespace txstream::config {
namespace {

struct Refusal {
    std::string_view property;
    std::string_view why;
};

constexpr std::string_view kDelivery =
    "what was acknowledged must not be lost, doubled or reordered";
constexpr std::string_view kGivenUp = "a record that is given up lets later ones of its key pass";
constexpr std::string_view kReports = "without every report the relay would wait forever";

// With librdkafka's other names for the same thing.
constexpr std::array kRefused{
    Refusal{"enable.idempotence", kDelivery},
    Refusal{"enable.gapless.guarantee", kDelivery},
    Refusal{"acks", kDelivery},
    Refusal{"request.required.acks", kDelivery},
    Refusal{"message.timeout.ms", kGivenUp},
    Refusal{"delivery.timeout.ms", kGivenUp},
    Refusal{"delivery.report.only.error", kReports},
    Refusal{"enabled_events", kReports},
    Refusal{"partitioner", "a key must stay in the partition where Java clients look for it"},
    Refusal{"transactional.id", "the relay does not use transactions"},
    Refusal{"test.mock.num.brokers", "events would go to a broker that nobody reads"},
    Refusal{"bootstrap.servers", "set KAFKA_BROKERS"},
    Refusal{"metadata.broker.list", "set KAFKA_BROKERS"},
    Refusal{"message.max.bytes", "set KAFKA_MESSAGE_BYTES_MAX"},
    Refusal{"compression.type", "set KAFKA_COMPRESSION"},
    Refusal{"compression.codec", "set KAFKA_COMPRESSION"},
    Refusal{"linger.ms", "set KAFKA_LINGER"},
    Refusal{"queue.buffering.max.ms", "set KAFKA_LINGER"},
    Refusal{"security.protocol", "set KAFKA_SECURITY_PROTOCOL"},
    Refusal{"sasl.mechanism", "set KAFKA_SASL_MECHANISM"},
    Refusal{"sasl.mechanisms", "set KAFKA_SASL_MECHANISM"},
    Refusal{"sasl.username", "set KAFKA_SASL_USERNAME"},
    Refusal{"sasl.password", "set KAFKA_SASL_PASSWORD"},
    Refusal{"ssl.ca.location", "set KAFKA_SSL_CA_LOCATION"},
    Refusal{"ssl.certificate.location", "set KAFKA_SSL_CERTIFICATE_LOCATION"},
    Refusal{"ssl.key.location", "set KAFKA_SSL_KEY_LOCATION"},
    Refusal{"ssl.key.password", "set KAFKA_SSL_KEY_PASSWORD"},
    Refusal{
        "ssl.endpoint.identification.algorithm", "set KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM"
    },
};

}  // namespace

std::string property_of(std::string_view variable) {
    auto name = lowered(variable.substr(kPropertyPrefix.size()));
    for (auto at = name.find("__"); at != std::string::npos; at = name.find("__", at))
        name.replace(at, 2, ".");
    return name;
}

std::string_view property_refusal(std::string_view property) {
    const auto* const found = std::ranges::find(kRefused, property, &Refusal::property);
    return found == kRefused.end() ? std::string_view() : found->why;
}

bool is_secret_property(std::string_view property) {
    constexpr std::array<std::string_view, 8> kWords{
        "key", "pem", "password", "secret", "token", "jaas", "config", "credential"
    };
    return std::ranges::any_of(kWords, [&](std::string_view word) {
        return property.find(word) != std::string_view::npos;
    });
}

}  // namespace txstream::config
