#pragma once

#include "console/severity.hpp"
#include "kafka/cluster.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace txstream::console {

/// What is wrong with a part of the cluster, and what to do.
struct Warning {
    std::string code;  ///< for pages that have texts of their own
    Severity severity = Severity::warn;
    std::vector<std::pair<std::string, std::string>> params;
    std::string text;
    std::string command;  ///< that fixes it; else
    std::string advice;   ///< what to do; both empty: nothing to do
};

struct TopicToCheck {
    std::string name;
    const kafka::TopicState* state = nullptr;                ///< nothing: there is no such topic
    const std::vector<kafka::ConfigItem>* config = nullptr;  ///< nothing: not known
    bool is_ours = false;                                    ///< events are written to it
    std::size_t record_bytes_max = 0;                        ///< KAFKA_MESSAGE_BYTES_MAX
    std::size_t brokers = 1;
    std::string bootstrap;  ///< host:port, for commands
};

/// The worst first.
std::vector<Warning> topic_warnings(const TopicToCheck& topic);

/// Of brokers that were asked themselves: the ones that do not answer under the address that they
/// advertise, though the cluster's metadata came from one of them.
std::vector<Warning> broker_warnings(
    const std::vector<kafka::BrokerState>& brokers,
    const std::vector<std::optional<Error>>& troubles
);

}  // namespace txstream::console
