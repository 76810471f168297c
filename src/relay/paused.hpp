#pragma once

#include "outbox/pauses.hpp"

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::relay {

/// Why an event waits, or is parked, that an operator has paused: in the place of Kafka's name of
/// an error.
inline constexpr std::string_view kPaused = "paused";

/// What of the outbox is paused, as the relay's last look found it. Decides only.
///
/// What is with Kafka's client already is sent. Paused events wait like those of a topic that takes
/// nothing, each with what comes later of its key: in memory for WORKER_TOPIC_PATIENCE, then among
/// the dead letters, from where they are sent by themselves (Replay). Where everything is paused,
/// or the topic that events have without naming one, nothing is read and nothing is parked.
class Paused {
public:
    /// True when that is news.
    bool set(std::vector<outbox::Pause> pauses);

    bool any() const noexcept { return !all_.empty(); }
    bool everything() const noexcept { return everything_; }
    bool topic(std::string_view name) const { return topics_.contains(name); }
    bool key(std::string_view key) const { return !keys_.empty() && keys_.contains(key); }
    const std::set<std::string, std::less<>>& topics() const noexcept { return topics_; }
    const std::set<std::string, std::less<>>& keys() const noexcept { return keys_; }
    /// For people: what, and why.
    std::string text() const;

private:
    std::vector<outbox::Pause> all_;
    bool everything_ = false;
    std::set<std::string, std::less<>> topics_;
    std::set<std::string, std::less<>> keys_;
};

}  // namespace txstream::relay
