#pragma once

#include "console/record_look.hpp"
#include "console/tail_queue.hpp"
#include "kafka/record_reader.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace txstream::console {

/// Follows the ends of a topic's partitions and hands every record to all tails of the topic: one
/// reader and one thread, however many look. A record is masked and rendered once for all who see
/// the same.
///
/// It outlives brokers: where it cannot read it says so to its tails, keeps its positions, and goes
/// on.
class TailFeed {
public:
    /// How often it looks whether all is well, and how long it may ask Kafka each time.
    static constexpr std::chrono::milliseconds kLook{1000};
    static constexpr std::chrono::milliseconds kProbe{2000};
    static constexpr std::chrono::seconds kPartitionsLook{15};

    /// Begin at a partition's end, which is not known yet.
    static constexpr std::int64_t kUnknown = -1;

    struct Tail {
        std::shared_ptr<TailQueue> queue;
        const Masks* masks;
        RecordFilter filter;
    };

    /// `ended` is called by the thread as the last thing that it does.
    TailFeed(
        std::string topic,
        std::function<Result<kafka::Properties>()> properties,
        Positions begin,
        std::size_t shown_max,
        std::function<void()> ended
    );
    ~TailFeed();
    TailFeed(const TailFeed&) = delete;
    TailFeed& operator=(const TailFeed&) = delete;

    /// From the positions returned the tail gets every record.
    Positions add(std::shared_ptr<const Tail> tail);
    /// How many are left.
    std::size_t remove(const Tail* tail);
    /// Ends the thread soon, which then calls `ended`.
    void end();

private:
    using Clock = std::chrono::steady_clock;
    using Tails = std::vector<std::shared_ptr<const Tail>>;

    void run();
    Result<> open();
    /// Begins to read at positions_, after it has looked at what exists there.
    Result<> restart();
    std::int64_t begin_of(const kafka::PartitionBounds& known);
    void step();
    void look(Clock::time_point now);
    void hand_over(kafka::FetchedRecord&& record);
    void passed(std::int32_t partition, std::int64_t position);
    void failed(const Error& error);
    void recovered();
    void report_lag();

    const std::string topic_;
    const std::function<Result<kafka::Properties>()> properties_;
    const std::size_t shown_max_;
    const std::function<void()> ended_;
    std::atomic<bool> is_ending_ = false;

    mutable std::mutex mutex_;
    std::condition_variable wake_;                ///< of a thread that waits to try again
    Tails tails_;                                 // by mutex_
    Positions positions_;                         // by mutex_, written by the thread
    std::shared_ptr<const std::string> problem_;  // by mutex_, written by the thread

    // Of the thread.
    std::unique_ptr<kafka::RecordReader> reader_;
    std::map<std::int32_t, bool> is_at_end_;
    bool must_restart_ = true;
    bool is_incomplete_ = false;  ///< partitions without a leader are not read
    Clock::time_point failed_at_{};
    Clock::time_point look_at_{};
    Clock::time_point partitions_at_ = Clock::now() + kPartitionsLook;

    std::thread thread_;
};

}  // namespace txstream::console
