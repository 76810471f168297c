#pragma once

#include <string>
#include <string_view>

/// Commands that an operator copies into a shell: what comes from outside is quoted.
namespace txstream::console {

/// As a shell takes it for one word.
std::string shell_word(std::string_view word);

/// `brokers` is what --bootstrap-server takes; without `replication_factor` the cluster's own.
std::string create_topic_command(
    std::string_view brokers,
    std::string_view topic,
    std::string_view partitions,
    std::string_view replication_factor
);
/// `setting` is NAME=VALUE.
std::string set_topic_command(
    std::string_view brokers, std::string_view topic, std::string_view setting
);

}  // namespace txstream::console
