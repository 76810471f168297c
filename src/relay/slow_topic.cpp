#include "relay/slow_topic.hpp"

#include <algorithm>

namespace txstream::relay {

void add_slow_topics(std::vector<SlowTopic>& all, const std::vector<SlowTopic>& more) {
    for (const auto& one : more) {
        const auto place = std::ranges::lower_bound(all, one.name, {}, &SlowTopic::name);
        if (place == all.end() || place->name != one.name) {
            all.insert(place, one);
            continue;
        }
        auto& known = *place;
        // Closed is worse, and each worker finds out for itself.
        if (one.is_closed == known.is_closed) {
            known.since = std::min(known.since, one.since);
            const bool is_endless = !known.until || !one.until;
            known.until =
                is_endless ? std::nullopt : std::optional(std::max(*known.until, *one.until));
            if (one.next_try)
                known.next_try = std::min(known.next_try.value_or(*one.next_try), *one.next_try);
        } else if (one.is_closed) {
            known.is_closed = true;
            known.error = one.error;
            known.since = one.since;
            known.until = one.until;
            known.next_try = one.next_try;
        }
        known.events += one.events;
        known.keys += one.keys;
    }
}

}  // namespace txstream::relay
