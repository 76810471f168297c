#pragma once

#include "console/context.hpp"
#include "console/ports.hpp"
#include "http/access.hpp"
#include "http/router.hpp"

#include <memory>

namespace txstream::console {

/// The console's API: what openapi.yaml describes, below /api/console/v1. It reads; what operators
/// decide goes through the room operations. Belongs to the thread of its executor.
///
/// While no request comes it asks neither PostgreSQL nor Kafka for anything, and keeps no
/// connection to Kafka.
class Console {
public:
    struct Dependencies {
        asio::any_io_executor executor;
        pg::ConnInfo database;
        std::function<Result<kafka::Properties>()> kafka_properties;
        Settings settings;
        std::unique_ptr<OrdersPort> orders;  ///< null: the database has none
        http::Access& access;                ///< exchanges the tokens of links
        const Metrics& metrics;
    };

    explicit Console(Dependencies dependencies);
    ~Console();
    Console(const Console&) = delete;
    Console& operator=(const Console&) = delete;

    void add_routes(http::Router& router);
    /// Ends what runs in the background. After the server that uses the routes has stopped.
    Task<> stop();

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace txstream::console
