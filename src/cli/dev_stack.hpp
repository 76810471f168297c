#pragma once

#include "app/config.hpp"
#include "base/error.hpp"

#include <string>

namespace txstream::cli {

struct DevOptions {
    std::string data;  ///< directory to keep; empty: a temporary one
    int orders = 10;
};

/// A throw-away system: PostgreSQL from the machine's own binaries in a private directory, Kafka as
/// librdkafka's mock cluster in this process, API and relay on the ports of the configuration (or
/// free ones), sample orders, and a line for each event that arrives in the topic. Ends with
/// SIGINT or SIGTERM and leaves nothing behind.
Result<> run_dev(app::Config config, const DevOptions& options);

}  // namespace txstream::cli
