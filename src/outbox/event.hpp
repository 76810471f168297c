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
    std::string event_id;
    std::string_view aggregate_type;
    std::string_view aggregate_id;
    std::string_view event_type;
    std::string_view topic;  ///< empty: the configured one
    std::string_view key;    ///< what order is kept for
    std::string_view payload;
    bool payload_is_json = true;
    bool payload_is_null = false;
    std::string_view content_type;
    std::string_view metadata;  ///< JSON text, empty: none
    std::string_view headers;   ///< JSON object, empty: none
    std::chrono::sys_time<std::chrono::microseconds> created_at;
};

/// Events in the order of (lane, id), sharing the server's buffer.
class Events {
public:
    Events() = default;
    explicit Events(pg::Rows rows) : rows_(std::move(rows)) {}

    std::size_t size() const noexcept { return rows_.size(); }
    bool empty() const noexcept { return rows_.empty(); }
    EventSeq id(std::size_t i) const;
    LaneId lane(std::size_t i) const;
    Event at(std::size_t i) const;

private:
    pg::Rows rows_;
};

}  // namespace txstream::outbox
