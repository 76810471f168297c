#include "console/tail_queue.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace txstream::console {

namespace {

template <class Integer>
bool take_number(std::string_view& text, Integer& value) {
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc() || value < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
    return true;
}

bool take(std::string_view& text, char c) {
    if (text.empty() || text.front() != c) return false;
    text.remove_prefix(1);
    return true;
}

}  // namespace

std::string to_text(const Positions& positions) {
    std::string text;
    for (const auto& [partition, position] : positions) {
        if (!text.empty()) text += ',';
        text.append(std::to_string(partition)).append(":").append(std::to_string(position));
    }
    return text;
}

std::optional<Positions> parse_positions(std::string_view text) {
    Positions positions;
    do {
        std::int32_t partition = 0;
        std::int64_t position = 0;
        if (!take_number(text, partition) || !take(text, ':') || !take_number(text, position))
            return std::nullopt;
        positions[partition] = position;
    } while (take(text, ','));
    if (!text.empty()) return std::nullopt;
    return positions;
}

bool TailQueue::wants(std::int32_t partition, std::int64_t offset) const {
    const std::lock_guard lock(mutex_);
    const auto at = seen_.find(partition);
    return at != seen_.end() && offset >= at->second;
}

void TailQueue::matched(
    std::int32_t partition, std::int64_t offset, std::shared_ptr<const std::string> text
) {
    std::unique_lock lock(mutex_);
    const bool was_empty = items_.empty();
    ++progress_.received;
    ++progress_.matched;
    seen_[partition] = offset + 1;
    // One record larger than all the room is still shown, alone.
    const bool fits = records_ < kRecordsMax && (bytes_ == 0 || bytes_ + text->size() <= kBytesMax);
    if (!fits) {
        ++progress_.skipped;
        skipped_.try_emplace(partition, Skipped{offset, offset}).first->second.to = offset + 1;
        return;
    }
    name_skipped(partition);
    push({.partition = partition, .from = offset, .to = offset + 1, .text = std::move(text)});
    wake(std::move(lock), was_empty);
}

void TailQueue::passed(std::int32_t partition, std::int64_t position, std::uint64_t records) {
    const std::lock_guard lock(mutex_);
    const auto at = seen_.find(partition);
    if (at == seen_.end()) return;
    progress_.received += records;
    at->second = std::max(at->second, position);
}

void TailQueue::gap(
    std::int32_t partition, std::int64_t from, std::int64_t to, std::string_view reason
) {
    std::unique_lock lock(mutex_);
    const auto at = seen_.find(partition);
    if (at == seen_.end()) return;
    const bool was_empty = items_.empty();
    // Of a topic that was created again offsets begin again.
    at->second = to;
    name_skipped(partition);
    push(
        {.kind = Item::Kind::gap,
         .partition = partition,
         .from = from,
         .to = to,
         .text = {},
         .reason = reason}
    );
    wake(std::move(lock), was_empty);
}

void TailQueue::problem(std::shared_ptr<const std::string> text) {
    std::unique_lock lock(mutex_);
    const bool was_empty = items_.empty();
    progress_.is_in_trouble = true;
    push({.kind = Item::Kind::problem, .text = std::move(text)});
    wake(std::move(lock), was_empty);
}

void TailQueue::recovered() {
    const std::lock_guard lock(mutex_);
    progress_.is_in_trouble = false;
}

void TailQueue::lag(std::int64_t records) {
    const std::lock_guard lock(mutex_);
    progress_.lag = records;
}

std::vector<TailQueue::Item> TailQueue::drain(std::size_t bytes_max, Positions& positions) {
    const std::lock_guard lock(mutex_);
    std::vector<Item> items;
    std::size_t bytes = 0;
    while (!items_.empty() && bytes < bytes_max) {
        auto& item = items_.front();
        const auto size = item.text ? item.text->size() : 0;
        if (item.kind == Item::Kind::record) {
            --records_;
            bytes_ -= size;
        }
        if (item.kind != Item::Kind::problem) positions[item.partition] = item.to;
        bytes += size;
        items.push_back(std::move(item));
        items_.pop_front();
    }
    if (!items_.empty()) return items;
    // All is sent: what was skipped comes behind it, and then everything is known up to here.
    while (!skipped_.empty()) name_skipped(skipped_.begin()->first);
    for (; !items_.empty(); items_.pop_front()) items.push_back(std::move(items_.front()));
    for (auto& [partition, position] : positions) {
        if (const auto at = seen_.find(partition); at != seen_.end())
            position = std::max(position, at->second);
    }
    return items;
}

TailQueue::Progress TailQueue::progress() const {
    const std::lock_guard lock(mutex_);
    return progress_;
}

void TailQueue::push(Item item) {
    if (item.kind == Item::Kind::record) {
        ++records_;
        bytes_ += item.text->size();
    }
    items_.push_back(std::move(item));
}

void TailQueue::name_skipped(std::int32_t partition) {
    const auto at = skipped_.find(partition);
    if (at == skipped_.end()) return;
    push(
        {.kind = Item::Kind::gap,
         .partition = partition,
         .from = at->second.from,
         .to = at->second.to,
         .text = {},
         .reason = "skipped"}
    );
    skipped_.erase(at);
}

void TailQueue::wake(std::unique_lock<std::mutex> lock, bool was_empty) {
    lock.unlock();
    if (was_empty) wake_();
}

}  // namespace txstream::console
