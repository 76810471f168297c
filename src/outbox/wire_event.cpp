#include "outbox/wire_event.hpp"

#include "domain/json_members.hpp"
#include "outbox/detail/wire_text.hpp"

#include <algorithm>

namespace txstream::outbox {

namespace {

// Beyond it the writer's clock is no measure of anything.
constexpr std::chrono::minutes kClockAheadMax{1};
constexpr std::chrono::days kAgeMax{30};

}  // namespace

std::size_t WireEvent::bytes() const noexcept {
    return key.size() + value.size() + identity.event_id.size() + identity.event_type.size() +
           identity.aggregate_type.size() + content_type.size() + created_at_text.size() +
           extra_headers.size();
}

std::optional<telemetry::TraceContext> trace_of(const WireEvent& event) {
    domain::JsonMembers members(event.extra_headers);
    while (members.next()) {
        if (text_of(members.name()) != kTraceparent) continue;
        const auto text = text_of(members.value());
        return text ? telemetry::parse_traceparent(*text) : std::nullopt;
    }
    return std::nullopt;
}

std::optional<std::chrono::microseconds> plausible_age(
    std::chrono::sys_time<std::chrono::microseconds> created_at,
    std::chrono::sys_time<std::chrono::microseconds> now
) noexcept {
    if (created_at > now + kClockAheadMax || created_at < now - kAgeMax) return std::nullopt;
    return std::max(now - created_at, std::chrono::microseconds(0));
}

}  // namespace txstream::outbox
