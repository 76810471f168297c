#pragma once

#include "outbox/situation.hpp"
#include "pg/connection.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What the outbox needs to know of the server that it lives in, for a report: nothing here is read
// while events are delivered.
namespace txstream::outbox {

/// A session or a prepared transaction that keeps old rows from being removed.
struct Holder {
    std::string name;  ///< "session 4711 (psql, user app)", "prepared transaction 'x' (owner app)"
    std::chrono::seconds age{};
};

struct ServerFacts {
    int version = 0;  ///< 150014
    std::string version_text;
    Moment now;
    bool is_in_recovery = false;
    bool is_read_only = false;
    std::string user;
    // As the configuration of server, database and role has them; our sessions pin some.
    std::string synchronous_commit;
    bool has_fsync = true;
    bool has_full_page_writes = true;
    bool has_autovacuum = true;
    std::int64_t ids_until_wraparound = 0;  ///< of this database
    std::int64_t connections = 0;
    std::int64_t connections_max = 0;  ///< for logins without rights of their own
    /// Whether the login may see what others' sessions do.
    bool sees_sessions = false;
    std::optional<Holder> oldest_snapshot;  ///< of those that it may see
    std::optional<Holder> oldest_prepared;
};
Task<Result<ServerFacts>> read_server_facts(pg::Connection& connection, Deadline deadline);

/// What is missing of the rights that a role needs, in words; empty: nothing. Rights on what does
/// not exist are not missing.
struct MissingRights {
    std::string role;  ///< relay, api, console
    std::string rights;
};
Task<Result<std::vector<MissingRights>>> missing_rights(
    pg::Connection& connection, Deadline deadline
);

/// How many ids of events a session draws at once; any number but 1 loses the order.
Task<Result<std::int64_t>> ids_drawn_at_once(pg::Connection& connection, Deadline deadline);

}  // namespace txstream::outbox
