#include "console/commands.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace txstream::console {

namespace {

bool is_plain(char c) noexcept {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("._-:,/@+=").find(c) != std::string_view::npos;
}

}  // namespace

std::string shell_word(std::string_view word) {
    if (!word.empty() && std::ranges::all_of(word, is_plain)) return std::string(word);
    std::string text = "'";
    for (const char c : word) {
        if (c == '\'') {
            text += "'\\''";
        } else {
            text += c;
        }
    }
    return text + "'";
}

std::string create_topic_command(
    std::string_view brokers,
    std::string_view topic,
    std::string_view partitions,
    std::string_view replication_factor
) {
    auto command = fmt::format(
        "kafka-topics.sh --bootstrap-server {} --create --topic {} --partitions {}",
        shell_word(brokers),
        shell_word(topic),
        partitions
    );
    if (!replication_factor.empty())
        command += fmt::format(" --replication-factor {}", replication_factor);
    return command;
}

std::string set_topic_command(
    std::string_view brokers, std::string_view topic, std::string_view setting
) {
    return fmt::format(
        "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {} "
        "--add-config {}",
        shell_word(brokers),
        shell_word(topic),
        shell_word(setting)
    );
}

}  // namespace txstream::console
