#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::console {

/// For each partition, the offset before which a tail has shown, filtered out, or named every
/// record.
using Positions = std::map<std::int32_t, std::int64_t>;

/// "0:17,1:4": what a client sends back to go on.
std::string to_text(const Positions& positions);
std::optional<Positions> parse_positions(std::string_view text);

/// What one live tail has yet to send. Bounded: a record that does not fit is skipped, and the
/// offsets that were not shown are named by a gap. Any thread.
class TailQueue {
public:
    static constexpr std::size_t kRecordsMax = 1000;
    static constexpr std::size_t kBytesMax = std::size_t{4} << 20;

    struct Item {
        enum class Kind : std::uint8_t { record, gap, problem };
        Kind kind = Kind::record;
        std::int32_t partition = 0;
        std::int64_t from = 0;  ///< of a record its offset
        std::int64_t to = 0;
        std::shared_ptr<const std::string> text{
        };  ///< JSON of a record or problem; shared by tails
        std::string_view reason{};  ///< of a gap: skipped, expired, not_kept
    };
    struct Progress {
        std::uint64_t received = 0;
        std::uint64_t matched = 0;
        std::uint64_t skipped = 0;
        std::int64_t lag = 0;
        bool is_in_trouble = false;
    };

    /// `wake` is called, on the thread that offers, when an empty queue gets something.
    TailQueue(Positions begin, std::function<void()> wake)
        : wake_(std::move(wake)), seen_(std::move(begin)) {}

    /// Whether a record is news: of a partition that is wanted, and not before its position.
    bool wants(std::int32_t partition, std::int64_t offset) const;
    void matched(
        std::int32_t partition, std::int64_t offset, std::shared_ptr<const std::string> text
    );
    /// Every record before `position` was offered, or does not match.
    void passed(std::int32_t partition, std::int64_t position, std::uint64_t records);
    void gap(std::int32_t partition, std::int64_t from, std::int64_t to, std::string_view reason);
    void problem(std::shared_ptr<const std::string> text);
    void recovered();
    void lag(std::int64_t records);

    /// What is to be sent, at most so much of it, and the positions behind it.
    std::vector<Item> drain(std::size_t bytes_max, Positions& positions);
    Progress progress() const;

private:
    struct Skipped {
        std::int64_t from;
        std::int64_t to;
    };
    void push(Item item);
    void name_skipped(std::int32_t partition);
    /// Calls wake_ without the lock if the queue was empty.
    void wake(std::unique_lock<std::mutex> lock, bool was_empty);

    const std::function<void()> wake_;
    mutable std::mutex mutex_;
    // All by mutex_.
    Positions seen_;
    std::deque<Item> items_;
    std::size_t records_ = 0;
    std::size_t bytes_ = 0;
    std::map<std::int32_t, Skipped> skipped_;  ///< that no gap has named yet
    Progress progress_;
};

}  // namespace txstream::console
