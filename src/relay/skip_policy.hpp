#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::relay {

/// Of which events the keys are not held when they are refused: WORKER_SKIP_TOPICS and
/// WORKER_SKIP_TYPES. It is asked once, when an event is parked for its own sake; from then on the
/// letter says whether it holds its key.
class SkipPolicy {
public:
    SkipPolicy() = default;
    SkipPolicy(const std::vector<std::string>& topics, const std::vector<std::string>& types)
        : topics_(topics.begin(), topics.end()), types_(types.begin(), types.end()) {}

    /// `topic` is the one that the event is sent to.
    bool skips(std::string_view topic, std::string_view event_type) const {
        return topics_.contains(topic) || types_.contains(event_type);
    }

private:
    std::set<std::string, std::less<>> topics_;
    std::set<std::string, std::less<>> types_;
};

}  // namespace txstream::relay
