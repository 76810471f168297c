#pragma once

#include "pg/migrator.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace txstream::console {

/// What the configuration says to the console; app fills it.
struct Settings {
    std::string environment;  ///< CONSOLE_ENV_LABEL; may be empty
    std::string topic;        ///< KAFKA_TOPIC_EVENTS
    std::string brokers;      ///< KAFKA_BROKERS, for commands
    std::string database_user;  ///< DATABASE_USER, for statements that grant it rights
    std::size_t message_bytes_max = 0;
    std::string grafana_url;         ///< empty: no link
    std::string trace_url;           ///< with {trace_id}; empty: no link
    std::vector<std::string> masks;  ///< JSON paths that a viewer does not see the values of
    unsigned refresh_floor_s = 1;
    bool has_orders = true;              ///< the database has them
    bool is_insecure = false;            ///< listens off loopback without TLS or tokens
    bool is_development_broker = false;  ///< no admin interface, and hides as little as it can
    bool is_read_only = false;           ///< no caller is more than a viewer
    std::vector<pg::MigrationSet> migrations;  ///< of the outbox, as this program knows them
};

}  // namespace txstream::console
