#pragma once

#include "app/config.hpp"
#include "app/detail/config_table.hpp"

#include <vector>

namespace txstream::app {

/// The rows of the table that begin with CONSOLE_.
std::vector<Setting> console_settings();

/// What of them does not go together: a console that others can reach needs tokens and TLS.
Problems finish_console(const Config::Console& console);

}  // namespace txstream::app
