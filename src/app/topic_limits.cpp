#include "app/topic_limits.hpp"

#include "telemetry/log.hpp"

#include <algorithm>
#include <utility>

namespace txstream::app {

TopicLimits::TopicLimits(std::size_t bytes_max, Look look)
    : bytes_max_(bytes_max), look_(std::move(look)) {
    if (look_) thread_ = std::thread([this] { run(); });
}

TopicLimits::~TopicLimits() {
    {
        const std::scoped_lock lock(mutex_);
        is_stopping_ = true;
    }
    wanted_.notify_all();
    if (thread_.joinable()) thread_.join();
}

std::optional<TopicLimit> TopicLimits::of(std::string_view name, Clock::time_point now) {
    const std::scoped_lock lock(mutex_);
    auto found = topics_.find(name);
    if (found == topics_.end()) {
        if (!look_ || topics_.size() >= kTopicsMax) return TopicLimit{bytes_max_, false, {}};
        found = topics_.emplace(std::string(name), Topic{}).first;
    }
    auto& topic = found->second;
    const auto fresh_for = topic.told ? Clock::duration(kFreshFor) : Clock::duration(kRetryAfter);
    if (look_ && (topic.must_wait || now - topic.read_at > fresh_for)) ask(found->first, topic);
    if (topic.must_wait) return std::nullopt;
    return limit(topic);
}

void TopicLimits::ask(const std::string& name, Topic& topic) {
    if (std::exchange(topic.is_asked, true)) return;
    queue_.push_back(name);
    wanted_.notify_all();
}

TopicLimit TopicLimits::limit(const Topic& topic) const {
    TopicLimit limit{bytes_max_, false, {}};
    if (topic.told) {
        limit.record_age_max = topic.told->record_age_max;
        if (topic.told->batch_bytes_max > 0) {
            limit.is_told = true;
            limit.bytes_max = std::min(limit.bytes_max, topic.told->batch_bytes_max);
        }
    }
    if (topic.guess && *topic.guess < limit.bytes_max) {
        limit.bytes_max = *topic.guess;
        limit.is_told = false;
    }
    return limit;
}

void TopicLimits::put(
    const std::string& name, const kafka::TopicConfig& config, Clock::time_point now
) {
    const std::scoped_lock lock(mutex_);
    learn(topics_[name], config, now);
}

void TopicLimits::learn(Topic& topic, Result<kafka::TopicConfig> found, Clock::time_point now) {
    topic.is_asked = false;
    topic.must_wait = false;
    topic.read_at = now;
    if (!found) return;
    // The topic was changed: what its refusals taught is out of date.
    if (topic.told != *found) topic.guess.reset();
    topic.told = *found;
    topic.is_logged = false;
    version_.fetch_add(1, std::memory_order_release);
}

void TopicLimits::doubt(
    std::string_view name, std::chrono::milliseconds age, Clock::time_point now
) {
    const std::scoped_lock lock(mutex_);
    const auto found = topics_.find(name);
    if (!look_ || found == topics_.end() || now - found->second.read_at <= age) return;
    found->second.must_wait = true;
    version_.fetch_add(1, std::memory_order_release);
}

bool TopicLimits::refused(
    std::string_view name, std::size_t batch_bytes, std::size_t record_bytes, Clock::time_point now
) {
    const std::scoped_lock lock(mutex_);
    auto found = topics_.find(name);
    if (found == topics_.end()) {
        if (topics_.size() >= kTopicsMax) return false;
        found = topics_.emplace(std::string(name), Topic{}).first;
        found->second.must_wait = false;
    }
    auto& topic = found->second;
    if (topic.told && topic.told->batch_bytes_max > 0 && record_bytes > topic.told->batch_bytes_max)
        return false;
    // One answer may be behind the broker's; so each refusal also teaches, until the batch is so
    // small that it can have held nothing else.
    const auto smaller = std::max(record_bytes, batch_bytes / 2);
    if (smaller >= batch_bytes) return false;
    topic.guess = std::min(topic.guess.value_or(smaller), smaller);
    topic.guess = std::max(*topic.guess, record_bytes);
    if (look_ && now - topic.read_at > std::chrono::seconds(1)) topic.must_wait = true;
    version_.fetch_add(1, std::memory_order_release);
    return true;
}

std::size_t TopicLimits::batch_bytes_max() const {
    const std::scoped_lock lock(mutex_);
    auto smallest = bytes_max_;
    for (const auto& [name, topic] : topics_) smallest = std::min(smallest, limit(topic).bytes_max);
    return smallest;
}

std::uint64_t TopicLimits::subscribe(std::function<void()> changed) {
    const std::scoped_lock lock(mutex_);
    listeners_.emplace(++subscriptions_, std::move(changed));
    return subscriptions_;
}

void TopicLimits::unsubscribe(std::uint64_t subscription) {
    const std::scoped_lock lock(mutex_);
    listeners_.erase(subscription);
}

void TopicLimits::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        wanted_.wait(lock, [this] { return is_stopping_ || !queue_.empty(); });
        if (is_stopping_) return;
        const auto topics = std::exchange(queue_, {});
        lock.unlock();
        auto found = look_(topics);
        lock.lock();
        const auto now = Clock::now();
        for (std::size_t i = 0; i < topics.size(); ++i) {
            auto& topic = topics_[topics[i]];
            if (!found[i] && !std::exchange(topic.is_logged, true)) {
                log::warn(
                    "relay",
                    "a topic does not tell its limits; those of the configuration count",
                    {{"topic", topics[i]},
                     {"error_type", found[i].error().origin()},
                     {"error", found[i].error().what()}}
                );
            }
            learn(topic, std::move(found[i]), now);
        }
        for (const auto& [number, changed] : listeners_) changed();
    }
}

}  // namespace txstream::app
