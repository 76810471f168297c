#pragma once

#include "kafka/producer.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace txstream::kafka {

/// One property by itself. Code::not_found: librdkafka has none of that name. Code::invalid_input:
/// the value is not allowed; the reason may quote it.
Result<> check_property(const std::string& name, const std::string& value);

/// All of them together with the guarantees of Producer. Code::invalid_input, naming the
/// property, when librdkafka does not know one or its value, or makes no client of them. Connects
/// to no broker.
Result<> check_properties(const Properties& properties);

/// All that librdkafka knows, topics' ones too.
const std::vector<std::string>& property_names();

/// Whether this librdkafka was built with it: "sasl_scram", "zstd".
bool has_feature(std::string_view feature);

/// librdkafka's, that is loaded: "2.0.2".
std::string library_version();

/// Whether SCRAM works against Kafka 4.
bool has_working_scram();

}  // namespace txstream::kafka
