#pragma once

#include "kafka/topic_config.hpp"
#include "runtime/deadline.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace txstream::app {

/// What is known of one topic's limits.
struct TopicLimit {
    /// Of a batch, and so of a record.
    std::size_t bytes_max = 0;
    /// From the topic itself; else KAFKA_MESSAGE_BYTES_MAX, or a guess after refusals.
    bool is_told = false;
    std::optional<std::chrono::milliseconds> record_age_max;
};

/// The limits of the topics that this relay writes to, learned from the cluster and shared by all
/// workers. Any thread.
///
/// A topic is looked up when its first record is due, which waits for the answer; again after a
/// refusal; and every few minutes, without waiting. Where the cluster does not answer (no right to
/// describe the topic, no such topic) the limits of the configuration count, and refusals teach:
/// librdkafka's batches are one size for all topics, and a batch that is too large is no fault of
/// its records.
class TopicLimits {
public:
    using Clock = Deadline::Clock;
    /// Blocking; called on a thread of this object, one at a time. Empty: nothing is looked up.
    using Look =
        std::function<std::vector<Result<kafka::TopicConfig>>(const std::vector<std::string>& topics
        )>;

    static constexpr std::chrono::minutes kFreshFor{5};
    static constexpr std::chrono::seconds kRetryAfter{30};
    /// Further topics have the limits of the configuration.
    static constexpr std::size_t kTopicsMax = 1000;

    /// `bytes_max`: KAFKA_MESSAGE_BYTES_MAX, for every topic.
    TopicLimits(std::size_t bytes_max, Look look);
    /// Waits for a look-up under way.
    ~TopicLimits();
    TopicLimits(const TopicLimits&) = delete;
    TopicLimits& operator=(const TopicLimits&) = delete;

    /// Nothing while the topic is being looked up; subscribers then hear of the answer.
    std::optional<TopicLimit> of(std::string_view topic, Clock::time_point now);
    /// Of a topic that was looked up elsewhere.
    void put(const std::string& topic, const kafka::TopicConfig& config, Clock::time_point now);
    /// The next of() waits for a new answer if the last one is older than `age`.
    void doubt(std::string_view topic, std::chrono::milliseconds age, Clock::time_point now);
    /// The broker refused a batch of at most `batch_bytes` as too large that held a record of
    /// `record_bytes`. True when the record alone may pass.
    bool refused(
        std::string_view topic,
        std::size_t batch_bytes,
        std::size_t record_bytes,
        Clock::time_point now
    );
    /// The largest batch that every topic seen so far accepts.
    std::size_t batch_bytes_max() const;
    /// Changes whenever a limit did.
    std::uint64_t version() const noexcept { return version_.load(std::memory_order_acquire); }

    /// Called after each look-up, on another thread: only to wake the subscriber's own.
    std::uint64_t subscribe(std::function<void()> changed);
    /// Afterwards it is not called any more.
    void unsubscribe(std::uint64_t subscription);

private:
    struct Topic {
        std::optional<kafka::TopicConfig> told;
        std::optional<std::size_t> guess;  ///< after refusals
        Clock::time_point read_at{};
        bool is_asked = false;
        bool is_logged = false;  ///< that it does not tell
        bool must_wait = true;   ///< nothing known yet, or doubted
    };

    // The caller holds the mutex.
    void ask(const std::string& name, Topic& topic);
    void learn(Topic& topic, Result<kafka::TopicConfig> found, Clock::time_point now);
    TopicLimit limit(const Topic& topic) const;
    void run();

    const std::size_t bytes_max_;
    const Look look_;
    mutable std::mutex mutex_;
    std::condition_variable wanted_;
    std::map<std::string, Topic, std::less<>> topics_;          // guarded by mutex_
    std::vector<std::string> queue_;                            // guarded by mutex_
    std::map<std::uint64_t, std::function<void()>> listeners_;  // guarded by mutex_
    std::uint64_t subscriptions_ = 0;                           // guarded by mutex_
    bool is_stopping_ = false;                                  // guarded by mutex_
    std::atomic<std::uint64_t> version_{1};
    std::thread thread_;
};

}  // namespace txstream::app
