#pragma once

#include "relay/slow_topic.hpp"
#include "runtime/deadline.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::relay {

/// Which way the records of each topic go. Decides only: time is passed in.
///
///     unproven ──a record is taken──▶ fast ◀──careful_for without a refusal──┐
///         │                            └──────a record is refused──────▶ careful
///         │                                                               ▲   │
///         └──the topic takes nothing──▶ closed ──a record is taken────────┘   │
///                                         ▲──────the topic takes nothing──────┘
///
/// On the fast path many records of a key are in flight, in a producer that ends when one of them
/// is refused. On the careful path it is at most one of a key, so that a refusal concerns nothing
/// else; a broker refuses whole batches, so fewer go together after each refusal, until one is
/// alone. Of a closed topic one record is tried now and then; the others wait, and with them what
/// comes later of their keys; those of a paused one wait, too, and none is tried. A topic that
/// nothing vouches for goes the careful way until it has taken a record.
class TopicPaths {
public:
    using Clock = Deadline::Clock;

    struct Limits {
        /// A topic stays on the careful path for so long after a refusal.
        std::chrono::milliseconds careful_for = std::chrono::minutes(5);
        /// A topic that takes nothing is tried again after so long: WORKER_TOPIC_RETRY_DELAY.
        std::chrono::milliseconds retry_delay{30'000};
        /// It takes nothing for so long, and its events are parked: WORKER_TOPIC_PATIENCE.
        std::chrono::milliseconds patience{120'000};
        /// Records of one topic that are in flight together on the careful path.
        std::size_t careful_batch_max = 128;
        /// That are remembered; beyond, those that no waiting event names are forgotten.
        std::size_t topics_max = 1000;
    };
    enum class State : std::uint8_t { unproven, fast, careful, closed };

    struct Topic {
        std::string name;
        bool is_default = false;
        State state = State::unproven;
        std::size_t batch = 1;      ///< at most so many in flight on the careful path
        std::size_t in_flight = 0;  ///< on the careful path
        std::size_t aside = 0;      ///< events that are not on the fast path
        Clock::time_point careful_since{};
        Clock::time_point careful_until{};
        Clock::time_point closed_since{};
        Clock::time_point next_try{};
        bool has_given_up = false;  ///< its patience ended early
        bool is_paused = false;
        Clock::time_point paused_since{};
        std::string error{};    ///< Kafka's name of why it is closed
        std::string refusal{};  ///< Kafka's name of why the last record was refused
    };

    /// A schedule does not depend on where topics lie in memory.
    struct ByName {
        bool operator()(const Topic* left, const Topic* right) const {
            return left->name < right->name;
        }
    };

    TopicPaths(std::string default_topic, Limits limits);

    Topic& of(std::string_view name);
    Topic& default_topic() noexcept { return *default_; }
    const std::map<std::string, Topic, std::less<>>& all() const noexcept { return topics_; }

    /// On the careful path or closed, in the order of their names, with no event counted.
    std::vector<SlowTopic> slow(Clock::time_point now);
    bool is_fast(Topic& topic, Clock::time_point now) const;
    /// On the careful path one more may go now.
    bool may_send(const Topic& topic, Clock::time_point now) const;
    /// Or paused.
    bool is_closed(const Topic& topic) const noexcept {
        return topic.state == State::closed || topic.is_paused;
    }
    /// Its events are parked as they come. Never of the default topic.
    bool is_given_up(const Topic& topic, Clock::time_point now) const;
    /// From now on these are paused and no others.
    void pause(const std::set<std::string, std::less<>>& names, Clock::time_point now);
    /// Where waiting events need more room than there is.
    void give_up(Topic& topic) { topic.has_given_up = !topic.is_default; }

    /// Something vouches for it.
    void proven(Topic& topic) {
        if (topic.state == State::unproven) topic.state = State::fast;
    }
    void taken(Topic& topic, Clock::time_point now);
    /// A batch of so many of its records was refused.
    void refused(Topic& topic, std::string_view error, std::size_t records, Clock::time_point now);
    /// True when that is news.
    bool closed(Topic& topic, std::string_view error, Clock::time_point now);

private:
    void forget(bool also_closed);

    Limits limits_;
    std::map<std::string, Topic, std::less<>> topics_;
    std::map<std::string, Clock::time_point, std::less<>> paused_;  ///< and since when
    Topic* default_;
};

}  // namespace txstream::relay
