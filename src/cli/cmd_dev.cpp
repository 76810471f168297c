#include "cli/commands.hpp"

#include <CLI/CLI.hpp>

namespace txstream::cli {

void add_dev(CLI::App&, const Globals&, Run&) {
}

}  // namespace txstream::cli
