#pragma once

#include "pg/connection.hpp"

#include <optional>
#include <string>

namespace txstream::outbox {

/// An event to be appended.
struct NewEvent {
    std::string event_id;  ///< UUID; empty: the server makes one
    std::string aggregate_type;
    std::string aggregate_id;
    std::string event_type;
    std::string payload;                 ///< JSON
    std::string metadata;                ///< JSON, empty: none
    std::optional<std::string> headers;  ///< JSON object
    std::optional<std::string> topic;    ///< none: the configured one
    std::optional<std::string> key;      ///< none: the aggregate's id
};

/// The statement that appends the event, for pg::Connection::transact() together with the change it
/// tells of. Needs no more rights than txstream_writer has.
pg::Connection::Step append_step(NewEvent event);

}  // namespace txstream::outbox
