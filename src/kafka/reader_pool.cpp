#include "kafka/reader_pool.hpp"

#include <algorithm>
#include <iterator>

namespace txstream::kafka {

Result<ReaderPool::Lease> ReaderPool::lease() {
    {
        const std::lock_guard lock(mutex_);
        if (!idle_.empty()) {
            auto reader = std::move(idle_.back().second);
            idle_.pop_back();
            ++leased_;
            return Lease(*this, std::move(reader));
        }
    }
    TXS_TRY(const auto properties, properties_());
    TXS_TRY(auto reader, RecordReader::open(properties, log_));
    const std::lock_guard lock(mutex_);
    ++leased_;
    return Lease(*this, std::move(reader));
}

bool ReaderPool::close_idle(Clock::time_point now) {
    decltype(idle_) closing;
    {
        const std::lock_guard lock(mutex_);
        const auto first = std::ranges::partition(idle_, [&](const auto& idle) {
                               return now - idle.first < kIdleTime;
                           }).begin();
        std::move(first, idle_.end(), std::back_inserter(closing));
        idle_.erase(first, idle_.end());
    }
    closing.clear();
    const std::lock_guard lock(mutex_);
    return leased_ > 0 || !idle_.empty();
}

void ReaderPool::keep(std::unique_ptr<RecordReader> reader) {
    reader->stop();
    const bool is_broken = reader->trouble().has_value();
    if (is_broken) reader.reset();
    const std::lock_guard lock(mutex_);
    --leased_;
    if (is_broken) return;
    if (idle_.size() < kIdleMax) idle_.emplace_back(Clock::now(), std::move(reader));
}

}  // namespace txstream::kafka
