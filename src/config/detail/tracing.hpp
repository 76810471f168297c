#pragma once

#include "config/detail/table.hpp"
#include "config/load.hpp"

#include <vector>

namespace txstream::config {

/// The rows of the table that have OpenTelemetry's names.
std::vector<Setting> tracing_settings();

/// Makes of what was given what is used. Where traces are off, nothing is judged: the same
/// environment may be that of programs that know other protocols and samplers.
Problems finish_tracing(Config::Tracing& tracing);

}  // namespace txstream::config
