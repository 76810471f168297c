#pragma once

#include "base/error.hpp"
#include "config/config.hpp"
#include "runtime/deadline.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::app {

/// A health check from outside of the process: a container has no other way to ask, since its image
/// holds no shell and no HTTP client.
struct HealthQuestion {
    enum class Kind : std::uint8_t { live, ready };
    Kind kind = Kind::live;
    /// "api", "relay" or "console". Empty: every role that listens; the check runs beside the
    /// process and does not know which roles it has.
    std::string role{};
};

/// Where one role answers, by the configuration.
struct HealthListener {
    std::string role{};
    std::string host;
    std::uint16_t port = 0;
    bool is_tls = false;
};

/// The listeners that the question is about. Fails where the configuration says that there is none
/// that could be asked: a role that is turned off, a port that is chosen at the start.
Result<std::vector<HealthListener>> listeners_to_ask(
    const Config& config, const HealthQuestion& question
);

/// What one listener said.
struct HealthAnswer {
    enum class Kind : std::uint8_t { healthy, unhealthy, not_listening };
    HealthListener listener;
    Kind kind = Kind::unhealthy;
    std::string what;  ///< for people
};

/// Healthy: each role that listens is, and at least one listens; if one is named, that one. Returns
/// what was found, for the log of the check. Pure.
Result<std::string> judge_health(
    const HealthQuestion& question, const std::vector<HealthAnswer>& answers
);

/// Asks all of them at the same time and judges. Blocks until the deadline at most.
Result<std::string> check_health(
    const Config& config, const HealthQuestion& question, Deadline deadline
);

}  // namespace txstream::app
