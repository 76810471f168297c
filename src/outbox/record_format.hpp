#pragma once

#include "kafka/record.hpp"
#include "outbox/event.hpp"
#include "telemetry/trace_context.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::outbox {

using kafka::Header;

/// One event in wire form. The views point into the page's arena, of `topic` perhaps to the default
/// topic's name.
struct WireEvent {
    EventSeq id;
    std::string_view topic;
    std::string_view key;
    std::string_view value;
    bool is_tombstone = false;
    std::string_view event_id;
    std::string_view event_type;
    std::string_view aggregate_type;
    std::string_view content_type;
    std::string_view created_at_text;  ///< RFC 3339; empty when it cannot express the time
    std::string_view extra_headers;    ///< JSON object, empty: none
    std::chrono::sys_time<std::chrono::microseconds> created_at;
    std::size_t oversize = 0;  ///< so many bytes that it was not fetched; there is no record

    /// Everything the broker counts, about: key, value and headers.
    std::size_t bytes() const noexcept;
    /// About what it takes in a page, with what Kafka's client keeps of it.
    std::size_t memory() const noexcept { return bytes() + kEventOverhead; }
};

/// Turns these of the events into records of the format `txstream`, the earlier system's:
///
///     key     aggregate_id (or the event's own key)
///     headers event_type, aggregate_type, event_id, content-type, created_at?, then the event's
///             own, then txstream-missing-headers when some of them cannot be sent
///     value   {"event_id","aggregate_id","aggregate_type","event_type","event_data":<payload as it
///             was written>,"created_at"?,"event_metadata"?}
///
/// A payload that is not JSON travels as it is, without envelope, under its own content type; no
/// payload is a null value (a tombstone). Appends to `wire` and writes into `arena`, which must not
/// be touched as long as the records are used; the events are not needed any more. A text that
/// stands in the value as it is has no second copy.
void append_wire_events(
    const Events& events,
    std::span<const std::uint32_t> which,
    std::string_view default_topic,
    std::string& arena,
    std::vector<WireEvent>& wire
);

/// The value of one event's record in the same form; of a tombstone nothing. For people: of a
/// payload that is cut off, what comes before the cut is what is sent.
void append_record_value(const Event& event, std::string& out);

/// The context in which the event was created, as its header `traceparent` says. For lines of the
/// log: it looks through the headers.
std::optional<telemetry::TraceContext> trace_of(const WireEvent& event);

/// How long before `now` the event was created, by its writer's clock. Nothing when that clock is
/// no measure: more than a minute ahead, or a month ago. Metrics must not follow it then.
std::optional<std::chrono::microseconds> plausible_age(
    std::chrono::sys_time<std::chrono::microseconds> created_at,
    std::chrono::sys_time<std::chrono::microseconds> now
) noexcept;

/// The headers of a record, for the duration of one publish(). Reused from event to event.
class RecordHeaders {
public:
    std::span<const Header> of(const WireEvent& event);
    /// txstream-attempt and txstream-delay-reason, of a record that is late or sent again.
    std::span<const Header> marks(unsigned attempt, std::string_view reason);
    /// txstream-replayed, of a record that was among the dead letters.
    static std::span<const Header> replayed() noexcept;
    /// Of the same event, the names of its headers that cannot be sent, a JSON array; empty: none.
    std::string_view missing() const noexcept { return missing_; }
    /// Of the same event, as it was stored; empty: none.
    std::string_view traceparent() const noexcept { return traceparent_; }
    /// The first header of that name; empty: none.
    std::string_view value_of(std::string_view name) const noexcept;

private:
    void append_extra(const WireEvent& event);
    /// The text of a JSON string, as a view that lasts until the next event.
    std::optional<std::string_view> kept(std::string_view string_token);

    std::vector<Header> headers_;
    std::array<Header, 2> marks_;
    std::string attempt_;
    std::deque<std::string> texts_;  ///< does not move what headers_ point to
    std::string missing_;
    std::string_view traceparent_;
};

}  // namespace txstream::outbox
