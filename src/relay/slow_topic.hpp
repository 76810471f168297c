#pragma once

#include "runtime/deadline.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace txstream::relay {

/// A topic that is not on the fast path, for people. Of a process it is what its workers say of
/// the topic, put together.
struct SlowTopic {
    using Time = Deadline::Clock::time_point;

    std::string name{};
    bool is_closed = false;  ///< it accepts no record; else one of a key is sent at a time
    std::string error{};     ///< Kafka's name of the latest refusal
    Time since{};
    /// On the fast path again, or, of a closed one, when its events are parked. Nothing: they wait
    /// without end.
    std::optional<Time> until{};
    /// That wait for the topic, with those behind them in their keys.
    std::uint64_t events = 0;
    std::uint64_t keys = 0;
    /// Of a closed one, when a record is tried again; nothing: it is paused.
    std::optional<Time> next_try{};

    bool operator==(const SlowTopic&) const = default;
};

/// Adds what another worker says; `all` keeps the order of names.
void add_slow_topics(std::vector<SlowTopic>& all, const std::vector<SlowTopic>& more);

}  // namespace txstream::relay
