#pragma once

#include "config/detail/table.hpp"
#include "config/load.hpp"

#include <vector>

namespace txstream::config {

/// The rows of the table that begin with CONSOLE_.
std::vector<Setting> console_settings();

/// What of them does not go together: a console that others can reach needs tokens and TLS.
Problems finish_console(const Config::Console& console);

}  // namespace txstream::config
