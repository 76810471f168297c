#pragma once

#include "base/strong.hpp"
#include "pg/rows.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace txstream::outbox {

/// One event as it was read; the views live as long as the Events they came from.
struct Event {
    EventSeq id;
    LaneId lane;
    pg::Uuid event_id;
    std::string_view aggregate_type;
    std::string_view aggregate_id;
    std::string_view event_type;
    std::string_view topic;  ///< empty: the configured one
    std::string_view key;    ///< what order is kept for
    std::string_view payload;
    bool payload_is_json = true;
    bool payload_is_null = false;
    bool has_content = true;  ///< false: payload, metadata and headers were left out for their size
    std::size_t size = 0;     ///< bytes of what makes the record, also of what was left out
    std::string_view content_type;
    std::string_view metadata;  ///< JSON text, empty: none
    std::string_view headers;   ///< JSON object, empty: none
    std::chrono::sys_time<std::chrono::microseconds> created_at;
};

/// Of an event's size at most so much is headers, key and aggregate_id: the table takes no more.
inline constexpr std::size_t kSmallTextsBytesMax = 65536 + 4096 + 4096;
/// Of an event in a page, read or in wire form, beside its texts: about what it takes in memory.
inline constexpr std::size_t kEventOverhead = 200;

/// Events in the order of (id, xid), sharing the server's buffer.
class Events {
public:
    Events() = default;
    explicit Events(pg::Rows rows) : rows_(std::move(rows)) {}

    std::size_t size() const noexcept { return rows_.size(); }
    bool empty() const noexcept { return rows_.empty(); }
    EventSeq id(std::size_t i) const;
    LaneId lane(std::size_t i) const;
    /// Bytes of what makes the record of event `i`, fetched or not.
    std::size_t size_of(std::size_t i) const;
    bool has_content(std::size_t i) const;
    Event at(std::size_t i) const;

private:
    pg::Rows rows_;
};

}  // namespace txstream::outbox
