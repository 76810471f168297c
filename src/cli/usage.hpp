#pragma once

#include "cli/commands.hpp"

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class Option;
}

// What the command line says to people. The library parses it; its own messages ("The following
// argument was not expected") name neither the command nor the remedy.
namespace txstream::cli {

/// The first thing wrong with the words behind "txstream", with the nearest thing that exists;
/// nothing when the line can be parsed but for the values of its options.
std::optional<std::string> complaint(const CLI::App& line, std::span<const std::string> words);

/// The help of the command that the words name, or what is wrong with them.
struct Help {
    std::string text;
    bool is_found = false;
};
Help help_of(const CLI::App& line, std::span<const std::string> words);

/// Examples and exit codes below a command's options.
void explain(CLI::App& command, std::string_view examples, std::initializer_list<Exit> codes);

/// The command under which verbs stand, as `migrate` of `migrate up`: the one of that name, or a
/// new one. Several files may add verbs to it.
CLI::App& group(CLI::App& line, const std::string& name, const std::string& what);
/// Examples for the groups that have none: the first one of each verb.
void explain_groups(CLI::App& line);

/// Only these words. The option's help lists them.
void allow_words(CLI::Option& option, const std::vector<std::string>& words);
/// Only whole numbers from `least` to `most`. The option's help says so.
void allow_numbers(CLI::Option& option, int least, int most);

}  // namespace txstream::cli
