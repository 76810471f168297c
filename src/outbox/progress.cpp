#include "outbox/progress.hpp"

#include <algorithm>
#include <utility>

namespace txstream::outbox {

void add_records(std::vector<RecordRange>& all, RecordRange range) {
    const auto place = std::ranges::find_if(all, [&](const RecordRange& one) {
        return one.partition == range.partition && one.topic == range.topic;
    });
    if (place == all.end()) {
        all.push_back(std::move(range));
    } else {
        place->first = std::min(place->first, range.first);
        place->last = std::max(place->last, range.last);
    }
}

}  // namespace txstream::outbox
