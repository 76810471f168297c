#pragma once

#include "config/detail/kinds.hpp"

/// Kinds that belong to one setting.
namespace txstream::config::forms {

kinds::Kind required_acks();
kinds::Kind topic_name();
kinds::Kind dead_letter_topic();
kinds::Kind topic_names(kinds::Set<std::vector<std::string>> set);
kinds::Kind replication_factor();
/// host:port, several separated by commas, as librdkafka takes them.
kinds::Kind brokers();
/// Names or addresses without scheme and port, separated by commas; "*"; or nothing.
kinds::Kind hosts(kinds::Set<std::vector<std::string>> set);
/// A port, or several separated by commas.
kinds::Kind database_ports();
/// A literal path, and none of those that the same server answers otherwise.
kinds::Kind metrics_path();

}  // namespace txstream::config::forms
