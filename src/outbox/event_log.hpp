#pragma once

#include "pg/connection.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace txstream::outbox {

/// Of newest_events(); its parameters are the members of LogWindow. Planned each time: a plan that
/// knows neither limit nor offset reads the whole outbox, and PostgreSQL would choose it for good
/// after a few deep pages.
extern const pg::Statement kNewestEvents;

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
    std::string last_error;   ///< its beginning
    std::int64_t size = 0;    ///< bytes of what makes the record, shown or not
    bool is_omitted = false;  ///< payload and metadata were too large to be read
};

struct LogWindow {
    std::size_t limit;
    std::size_t offset;
    std::size_t bytes_max;  ///< of texts and payloads together; one event is in any page
    /// Payload and metadata of a larger event are not read.
    std::size_t event_bytes_max = std::size_t{1} << 20;
};

struct LoggedPage {
    std::vector<LoggedEvent> events;
    bool is_cut = false;  ///< by bytes_max: the next page begins behind the events that are here
};

/// The newest events, by id. Walks over limit + offset ids, however large the table is, and brings
/// no more than bytes_max out of the database, or one event of event_bytes_max.
Task<Result<LoggedPage>> newest_events(
    pg::Connection& connection, LogWindow window, Deadline deadline
);

}  // namespace txstream::outbox
