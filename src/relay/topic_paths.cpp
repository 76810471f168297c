#include "relay/topic_paths.hpp"

#include "relay/paused.hpp"

#include <algorithm>
#include <utility>

namespace txstream::relay {

namespace {

// The first that it has waited for counts: its events do not wait longer for two reasons.
TopicPaths::Clock::time_point waits_since(const TopicPaths::Topic& topic) {
    if (!topic.is_paused) return topic.closed_since;
    if (topic.state != TopicPaths::State::closed) return topic.paused_since;
    return std::min(topic.closed_since, topic.paused_since);
}

}  // namespace

TopicPaths::TopicPaths(std::string default_topic, Limits limits) : limits_(limits) {
    Topic topic;
    topic.name = default_topic;
    topic.is_default = true;
    // Who starts the workers has looked for it.
    topic.state = State::fast;
    default_ = &topics_.emplace(std::move(default_topic), std::move(topic)).first->second;
}

TopicPaths::Topic& TopicPaths::of(std::string_view name) {
    if (const auto found = topics_.find(name); found != topics_.end()) return found->second;
    if (topics_.size() >= limits_.topics_max) forget(false);
    // Names that a writer makes up: each is found closed again when it comes again.
    if (topics_.size() >= limits_.topics_max) forget(true);
    Topic topic;
    topic.name = name;
    if (const auto paused = paused_.find(name); paused != paused_.end()) {
        topic.is_paused = true;
        topic.paused_since = paused->second;
    }
    return topics_.emplace(std::string(name), std::move(topic)).first->second;
}

void TopicPaths::forget(bool also_closed) {
    std::erase_if(topics_, [&](const auto& entry) {
        const auto& topic = entry.second;
        const bool is_forgettable = also_closed || topic.state != State::closed;
        return is_forgettable && !topic.is_default && topic.aside == 0;
    });
}

std::vector<SlowTopic> TopicPaths::slow(Clock::time_point now) {
    std::vector<SlowTopic> all;
    for (auto& [name, topic] : topics_) {
        if (!topic.is_paused && (topic.state == State::unproven || is_fast(topic, now))) continue;
        auto& one = all.emplace_back();
        one.name = name;
        one.is_closed = is_closed(topic);
        one.error = one.is_closed ? topic.error : topic.refusal;
        if (topic.is_paused) one.error = kPaused;
        if (one.is_closed && !topic.is_paused) one.next_try = topic.next_try;
        one.since = one.is_closed ? waits_since(topic) : topic.careful_since;
        if (!one.is_closed) {
            one.until = topic.careful_until;
        } else if (!topic.is_default) {
            one.until = topic.has_given_up ? now : waits_since(topic) + limits_.patience;
        }
    }
    return all;
}

bool TopicPaths::is_fast(Topic& topic, Clock::time_point now) const {
    if (topic.state == State::careful && now >= topic.careful_until) topic.state = State::fast;
    return topic.state == State::fast && !topic.is_paused;
}

bool TopicPaths::may_send(const Topic& topic, Clock::time_point now) const {
    if (topic.is_paused || (topic.state == State::closed && now < topic.next_try)) return false;
    return topic.in_flight < topic.batch;
}

bool TopicPaths::is_given_up(const Topic& topic, Clock::time_point now) const {
    return is_closed(topic) && !topic.is_default &&
           (topic.has_given_up || now - waits_since(topic) >= limits_.patience);
}

void TopicPaths::pause(const std::set<std::string, std::less<>>& names, Clock::time_point now) {
    std::erase_if(paused_, [&](const auto& one) { return !names.contains(one.first); });
    for (const auto& name : names) paused_.try_emplace(name, now);
    for (auto& [name, topic] : topics_) {
        const auto paused = paused_.find(name);
        const bool was_paused = std::exchange(topic.is_paused, paused != paused_.end());
        if (topic.is_paused) topic.paused_since = paused->second;
        if (was_paused && !topic.is_paused && topic.state != State::closed)
            topic.has_given_up = false;
    }
}

void TopicPaths::taken(Topic& topic, Clock::time_point now) {
    topic.batch = std::min(2 * topic.batch, limits_.careful_batch_max);
    if (topic.state == State::unproven) topic.state = State::fast;
    if (topic.state != State::closed) return;
    topic.state = State::careful;
    topic.careful_since = now;
    topic.careful_until = now + limits_.careful_for;
    topic.has_given_up = false;
    topic.refusal = std::exchange(topic.error, {});
}

void TopicPaths::refused(
    Topic& topic, std::string_view error, std::size_t records, Clock::time_point now
) {
    // It says nothing about whether a closed topic takes others.
    if (topic.state == State::closed) return;
    if (topic.state == State::fast) topic.batch = limits_.careful_batch_max;
    if (topic.state != State::careful) topic.careful_since = now;
    topic.state = State::careful;
    topic.careful_until = now + limits_.careful_for;
    topic.refusal = error;
    topic.batch = std::clamp<std::size_t>(records / 2, 1, topic.batch);
}

bool TopicPaths::closed(Topic& topic, std::string_view error, Clock::time_point now) {
    const bool is_news = topic.state != State::closed;
    topic.state = State::closed;
    topic.batch = 1;
    topic.next_try = now + limits_.retry_delay;
    topic.error = error;
    if (is_news) topic.closed_since = now;
    return is_news;
}

}  // namespace txstream::relay
