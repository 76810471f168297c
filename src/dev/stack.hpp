#pragma once

#include "base/error.hpp"
#include "config/config.hpp"

#include <string>

namespace txstream::dev {

struct DevOptions {
    std::string data;      ///< the directory of the private PostgreSQL
    bool is_kept = false;  ///< else it is removed at the end
    int orders = 10;
};

/// A throw-away system: PostgreSQL from the machine's own binaries in a private directory, Kafka as
/// librdkafka's mock cluster in this process, API and relay on the ports of the configuration (or
/// free ones), sample orders, and a line for each event that arrives in the topic. Ends with SIGINT
/// or SIGTERM. Settings that say where PostgreSQL and Kafka are, and how to log in, do not count.
Result<> run_dev(Config config, const DevOptions& options);

}  // namespace txstream::dev
