#pragma once

#include <string>

namespace CLI {
class App;
}

// What is made of the command line's grammar: nothing that it has can be forgotten there.
namespace txstream::cli {

std::string bash_completion(const CLI::App& line);
std::string zsh_completion(const CLI::App& line);
std::string fish_completion(const CLI::App& line);
/// The manual page txstream(1), as roff.
std::string manual(const CLI::App& line);

}  // namespace txstream::cli
