#pragma once

#include "outbox/event.hpp"
#include "outbox/wire_event.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::outbox {

class RecordHeaders;

/// What a record says of its event, and in which form: value and headers. Topic, key and timestamp
/// are the relay's affair, as are the event's own headers and those that start with `txstream-`.
/// Without state, so that any thread may use it.
class WireFormat {
public:
    /// What append_value() has written.
    struct Value {
        bool is_tombstone = false;
        std::string_view content_type;  ///< a constant; empty: the event's own
        /// Where these texts stand in it as they are, so that they need no second copy; empty:
        /// nowhere.
        std::string_view event_id{};
        std::string_view aggregate_id{};
        std::string_view aggregate_type{};
        std::string_view event_type{};
        std::string_view created_at{};
    };

    virtual ~WireFormat() = default;
    /// What append_value() appends at most.
    virtual std::size_t value_bytes_max(const Event& event) const noexcept = 0;
    /// `created_at` is the event's in RFC 3339, or empty. The views are good as long as `out` does
    /// not move. Of a payload that is cut off, what comes before the cut is what is sent.
    virtual Value append_value(const Event& event, std::string_view created_at, std::string& out)
        const = 0;
    /// Adds the headers that say what the event is.
    virtual void add_headers(const WireEvent& event, RecordHeaders& headers) const = 0;
    /// Whether a header of this name is written by add_headers() alone: consumers trust it.
    virtual bool owns(std::string_view header_name) const noexcept = 0;
};

/// The format of the earlier system:
///
///     headers event_type, aggregate_type, event_id, content-type, created_at?
///     value   {"event_id","aggregate_id","aggregate_type","event_type","event_data":<payload as it
///             was written>,"created_at"?,"event_metadata"?}
///
/// A payload that is not JSON travels as it is, without envelope, under its own content type; no
/// payload is a null value (a tombstone).
const WireFormat& txstream_format() noexcept;

/// Brings these of the events into wire form. Appends to `wire` and writes into `arena`, which must
/// not be touched as long as the records are used; the events are not needed any more.
void append_wire_events(
    const WireFormat& format,
    const Events& events,
    std::span<const std::uint32_t> which,
    std::string_view default_topic,
    std::string& arena,
    std::vector<WireEvent>& wire
);

/// An event's time as records have it; nothing when RFC 3339 cannot express it.
void append_created_at(
    std::chrono::sys_time<std::chrono::microseconds> created_at, std::string& out
);

}  // namespace txstream::outbox
