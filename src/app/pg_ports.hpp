#pragma once

#include "pg/conn_info.hpp"
#include "relay/ports.hpp"

#include <memory>
#include <string>

namespace txstream::app {

/// The relay's ports to the outbox in PostgreSQL. `conninfo` holds the password.
std::unique_ptr<relay::EventSource> make_pg_event_source(
    asio::any_io_executor executor, pg::ConnInfo conninfo
);
std::unique_ptr<relay::LaneKeeper> make_pg_lane_keeper(
    asio::any_io_executor executor, pg::ConnInfo conninfo, std::string owner
);

}  // namespace txstream::app
