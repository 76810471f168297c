#pragma once

#include "config/load.hpp"

#include <string>
#include <string_view>

namespace txstream::config {

/// The variable that sets a property of librdkafka: KAFKA_SASL_USERNAME, KAFKA_PROPERTY_….
std::string variable_of(std::string_view property);

/// Of TLS and SASL: what is set without effect, and what is missing. `client` holds what was set,
/// and the defaults of security.protocol and ssl.endpoint.identification.algorithm. librdkafka
/// takes most of it without a word and then cannot connect.
Problems security_contradictions(const Config::Properties& client);

}  // namespace txstream::config
