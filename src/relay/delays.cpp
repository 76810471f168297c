#include "relay/delays.hpp"

namespace txstream::relay {

void EarlierTries::add(EventSeq id, DelayReason reason) {
    const auto found = tries_.lower_bound(id);
    if (found != tries_.end() && found->first == id) {
        ++found->second.count;
        found->second.reason = reason;
    } else if (tries_.size() < kEventsMax) {
        tries_.emplace_hint(found, id, Tries{1, reason});
    }
}

std::optional<EarlierTries::Tries> EarlierTries::of(EventSeq id) const {
    const auto found = tries_.find(id);
    if (found == tries_.end()) return std::nullopt;
    return found->second;
}

}  // namespace txstream::relay
