#include "app/descriptors.hpp"

#include "http/server.hpp"

#include <algorithm>
#include <limits>
#include <sys/resource.h>

namespace txstream::app {

namespace {

// Standard streams, the log, event loops with their timers and wake-up descriptors, listening
// sockets, look-ups of host names, and what libraries open for a moment.
constexpr std::size_t kProcess = 64;
// A worker has two sessions, an event loop, and a producer with a connection for each broker.
constexpr std::size_t kWorker = 2 + 4 + 32;
// Sessions, a look-up client, and a client for each tail and search, with a connection for each
// broker.
constexpr std::size_t kConsole = 4 + 6 * 8;
// A process with hardly any descriptors still answers a few clients.
constexpr std::size_t kApiConnectionsMin = 16;

}  // namespace

DescriptorPlan plan_descriptors(std::size_t limit, const Config& config, const Roles& roles) {
    const std::size_t refused = http::Limits().refused_connections_max;
    DescriptorPlan plan;
    plan.reserved = kProcess;
    if (roles.relay) {
        plan.reserved += config.relay.workers * kWorker;
        if (config.metrics.enabled) plan.reserved += kMetricsConnectionsMax + refused + 1;
    }
    if (roles.console) plan.reserved += kConsoleConnectionsMax + kConsoleRefusedMax + kConsole;
    if (roles.api) {
        plan.reserved += config.database.connections_max + refused;
        const auto left = limit > plan.reserved ? limit - plan.reserved : 0;
        plan.api_connections =
            std::min(config.server.connections_max, std::max(left, kApiConnectionsMin));
    }
    return plan;
}

std::size_t raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::numeric_limits<std::size_t>::max();
    if (limit.rlim_cur < limit.rlim_max) {
        rlimit raised = limit;
        raised.rlim_cur = limit.rlim_max;
        // A hard limit above the kernel's own (fs.nr_open) cannot be used; the soft one then stays.
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
    }
    return limit.rlim_cur == RLIM_INFINITY ? std::numeric_limits<std::size_t>::max()
                                           : static_cast<std::size_t>(limit.rlim_cur);
}

}  // namespace txstream::app
