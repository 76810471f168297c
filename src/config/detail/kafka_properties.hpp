#pragma once

#include <string>
#include <string_view>

namespace txstream::config {

/// `KAFKA_PROPERTY_linger__ms` is librdkafka's `linger.ms`.
constexpr std::string_view kPropertyPrefix = "KAFKA_PROPERTY_";
std::string property_of(std::string_view variable);

/// Why that property of librdkafka cannot be set so; empty when it can.
std::string_view property_refusal(std::string_view property);

/// Whether its value must not be shown. Rather too often: librdkafka has more than hundred.
bool is_secret_property(std::string_view property);

}  // namespace txstream::config
