#pragma once

#include "pg/connection.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace txstream::outbox {

/// An event with what became of it, as the view txstream.outbox_compat tells it.
struct LoggedEvent {
    using Time = std::chrono::sys_time<std::chrono::microseconds>;

    std::string event_id;
    std::string aggregate_type;
    std::string aggregate_id;
    std::string event_type;
    std::string status;    ///< pending, published, failed (parked), discarded
    std::string payload;   ///< JSON; empty: none, or not JSON
    std::string metadata;  ///< JSON; empty: none
    Time created_at;
    std::optional<Time> published_at;
    std::int64_t attempts = 0;
    std::string last_error;
};

/// The newest events, by id. Reads at most limit + offset events of each lane, however large the
/// table is.
Task<Result<std::vector<LoggedEvent>>> newest_events(
    pg::Connection& connection, std::size_t limit, std::size_t offset, Deadline deadline
);

}  // namespace txstream::outbox
