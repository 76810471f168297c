#pragma once

#include "outbox/event_row.hpp"
#include "pg/connection.hpp"

#include <utility>

namespace txstream::outbox {

/// What is known about an event that was moved aside.
struct DeadLetterFacts {
    EventState state = EventState::parked;
    std::int64_t attempts = 0;
    std::string error_class;
    std::string error;
    Time first_attempt_at;
    Time last_attempt_at;
    std::string resolved_by;      ///< empty: nobody has decided
    std::string resolved_reason;  ///< empty: none was given
    bool holds = true;            ///< later events of its key wait behind it
};

/// The page that was acknowledged with an event.
struct PublicationFacts {
    std::int64_t id = 0;
    Time acknowledged_at;
    std::int64_t events = 0;
    std::string records;  ///< JSON: [{"topic", "partition", "first", "last"}]
};

struct EventDetail {
    EventRow event;
    bool is_in_outbox = true;  ///< false: only its dead letter is left
    bool has_payload = false;  ///< false: a tombstone, or a dead letter without its content
    bool is_json = false;
    std::string payload;             ///< its beginning
    std::uint64_t payload_size = 0;  ///< bytes of the whole
    std::string content_type;        ///< as it is sent
    std::string metadata;            ///< JSON, its beginning; empty: none
    std::uint64_t metadata_size = 0;
    std::string own_headers;  ///< the JSON object that its writer gave; empty: none
    /// As they are sent with every record of it.
    std::vector<std::pair<std::string, std::string>> headers;
    std::string trace_id;  ///< empty: none
    std::optional<DeadLetterFacts> dead_letter;
    std::optional<PublicationFacts> publication;
    /// The first event of its key that is parked: this one waits for it.
    std::optional<EventRow> held_behind;
    /// Of its key, by id, itself among them; of those that are near.
    std::vector<EventRow> neighbours;
};

struct DetailLimits {
    std::size_t payload_bytes = 65536;
    /// The payload of a larger event is not read at all: its length is known only when it is.
    std::size_t event_bytes_max = std::size_t{16} << 20;
    std::size_t neighbours = 5;  ///< before it, and after it
    /// Events of all lanes, on each side, among which they are.
    std::size_t neighbour_rows_max = 10'000;
};

/// Code::not_found with an empty text.
Task<Result<EventDetail>> event_detail(
    pg::Connection& connection, EventSeq seq, DetailLimits limits, Deadline deadline
);

/// Bytes of a payload from `offset` on; fewer at its end. For an event of at most
/// DetailLimits::event_bytes_max: each call reads the whole of it on the server.
Task<Result<std::string>> event_payload(
    pg::Connection& connection,
    EventSeq seq,
    std::uint64_t offset,
    std::size_t bytes,
    Deadline deadline
);

}  // namespace txstream::outbox
