#pragma once

#include "outbox/drains.hpp"
#include "outbox/members.hpp"
#include "outbox/situation.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// What a relay and a lane do, in words. Pure.
namespace txstream::console {

/// What a relay, or a lane, does at the moment.
struct Standing {
    std::string code;                          ///< for programs, and for pages in other languages
    std::string text;                          ///< "waits for topic payments, retry in 12 s"
    std::string topic{};                       ///< of waits_for_topic
    std::optional<outbox::Moment> retry_at{};  ///< of what is tried again

    bool operator==(const Standing&) const = default;
};

/// gone, draining, drained, paused, waits_for_kafka, waits_for_topic, cannot_deliver, standby,
/// active; the first that is true. `leases` are those of all relays.
Standing standing_of(
    const outbox::SeenMember& seen, const std::vector<outbox::LeaseRow>& leases, outbox::Moment now
);

/// Why a lane that waits does: as its owner says it, else as any relay does. The codes are those of
/// a relay; nothing where no relay has said it.
std::optional<Standing> why_waiting(
    const outbox::LaneRow& lane, const std::vector<outbox::SeenMember>& members, outbox::Moment now
);

/// Whether a lease or a lane belongs to a relay: owners are "<relay>/<worker>".
bool is_of(std::string_view owner, std::string_view relay);

}  // namespace txstream::console
