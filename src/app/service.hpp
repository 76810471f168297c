#pragma once

#include "base/error.hpp"
#include "config/config.hpp"

#include <cstdint>
#include <functional>

namespace txstream::app {

/// Which parts of the system run in this process.
struct Roles {
    bool api = false;
    bool relay = false;
    bool console = false;
};

/// What came up where, for those who start it from inside (txstream dev).
struct Listening {
    std::uint16_t api = 0;
    std::uint16_t metrics = 0;
    std::uint16_t console = 0;
};

/// Runs the roles on the calling thread (and the relay's workers on theirs) until SIGINT or
/// SIGTERM, then drains: not ready, no new work, what is in flight is finished, lanes are given
/// back. A second signal ends the draining. `up` is called once everything listens.
///
/// The stop takes SHUTDOWN_DELAY and SHUTDOWN_TIMEOUT at most: two seconds later the process ends
/// itself, with exit code 7.
///
/// A database that cannot be reached at the start, or has no session left, is waited for, 30
/// seconds. What waiting does not mend is an error at once: a refused login, a password that is
/// demanded and not set, a missing database, TLS that cannot be agreed on, another schema.
///
/// With both roles and a database that has the outbox but no orders (`migrate up --only outbox`)
/// the relay runs and the API stays off.
///
/// The console has a thread of its own. Beside another role it is there unless CONSOLE_ENABLED says
/// no; it needs neither PostgreSQL nor Kafka to start, since it is there to say what is wrong with
/// them.
Result<> serve(const Config& config, Roles roles, std::function<void(Listening)> up = {});

}  // namespace txstream::app
