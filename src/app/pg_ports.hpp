#pragma once

#include "pg/conn_info.hpp"
#include "relay/ports.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace txstream::app {

/// For every session of a relay. A lock that is held for longer than this is not a relay's but
/// somebody's ALTER TABLE: the statement ends with 55P03 and is tried again, so that the leases are
/// prolonged in between.
inline constexpr std::string_view kLockTimeout = "SET lock_timeout = '1s';";

/// The relay's ports to the outbox in PostgreSQL. `conninfo` holds the password.
std::unique_ptr<relay::EventSource> make_pg_event_source(
    asio::any_io_executor executor, pg::ConnInfo conninfo
);
std::unique_ptr<relay::LaneKeeper> make_pg_lane_keeper(
    asio::any_io_executor executor, pg::ConnInfo conninfo, std::string owner
);

}  // namespace txstream::app
