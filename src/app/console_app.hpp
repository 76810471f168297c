#pragma once

#include "app/health.hpp"
#include "app/metrics.hpp"
#include "config/config.hpp"
#include "console/console.hpp"
#include "http/server.hpp"
#include "pg/pool.hpp"

#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <thread>

namespace txstream::app {

/// The console as a service: server, page, API, on a thread and an event loop of its own, so that a
/// search or a slow page delays neither orders nor delivery. Belongs to the thread of its owner's
/// executor.
class ConsoleApp {
public:
    struct Dependencies {
        asio::any_io_executor executor;  ///< of the owner
        const Config& config;
        const Metrics& metrics;
    };

    explicit ConsoleApp(Dependencies dependencies);
    ~ConsoleApp();
    ConsoleApp(const ConsoleApp&) = delete;
    ConsoleApp& operator=(const ConsoleApp&) = delete;

    /// Fails when the port is taken, or tokens or certificate cannot be used. Needs no server.
    /// Returns the port.
    Result<std::uint16_t> start();
    /// Since when its thread has not answered whether it goes on; nothing: it has. Asks again.
    std::optional<Deadline::Clock::time_point> silent_since();
    void drain();
    /// May be called twice, and without start().
    Task<> stop(Deadline deadline);

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace txstream::app
