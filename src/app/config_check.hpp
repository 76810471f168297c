#pragma once

#include "app/config.hpp"

namespace txstream::app {

/// What load() cannot know of a configuration: whether librdkafka makes a producer of these
/// properties. Connects to nobody.
Problems check_kafka(const Loaded& loaded);

/// Whether the log's file could be written. Makes none.
Problems check_log_file(const Config& config);

}  // namespace txstream::app
