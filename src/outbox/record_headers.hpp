#pragma once

#include "kafka/record.hpp"
#include "outbox/wire_format.hpp"

#include <array>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::outbox {

using kafka::Header;

/// The headers of a record, for the duration of one publish(). Reused from event to event.
class RecordHeaders {
public:
    explicit RecordHeaders(const WireFormat& format = txstream_format()) : format_(&format) {}

    /// Those of the format, then the event's own, then txstream-missing-headers when some of them
    /// cannot be sent.
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

    /// For the format: the name is a constant, the value one of the event's texts.
    void add(std::string_view name, std::string_view value) { headers_.push_back({name, value}); }
    /// For the format: a value that has been made.
    void add_made(std::string_view name, std::string value) {
        add(name, texts_.emplace_back(std::move(value)));
    }

private:
    void append_extra(const WireEvent& event);
    bool is_reserved(std::string_view name) const;
    /// The text of a JSON string, as a view that lasts until the next event.
    std::optional<std::string_view> kept(std::string_view string_token);

    const WireFormat* format_;
    std::vector<Header> headers_;
    std::array<Header, 2> marks_;
    std::string attempt_;
    std::deque<std::string> texts_;  ///< does not move what headers_ point to
    std::string missing_;
    std::string_view traceparent_;
};

}  // namespace txstream::outbox
