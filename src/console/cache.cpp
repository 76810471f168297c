#include "console/cache.hpp"

#include "base/assert.hpp"
#include "console/json.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace txstream::console {

namespace {

constexpr std::chrono::milliseconds kFailureTtl{1000};

}  // namespace

struct Cache::Entry {
    Entry(const asio::any_io_executor& executor, std::chrono::milliseconds with_ttl)
        : ttl(with_ttl), ready(executor, asio::steady_timer::time_point::max()) {}

    std::chrono::milliseconds ttl;
    asio::steady_timer ready;  ///< never expires; cancelled when the answer is there
    bool is_ready = false;
    http::Response answer;
    Clock::time_point good_until{};
    std::size_t bytes = 0;
};

Cache::Cache(asio::any_io_executor executor, Limits limits)
    : executor_(std::move(executor)), limits_(limits), tasks_(executor_) {
}

Task<http::Response> Cache::answer(std::string key, std::chrono::milliseconds ttl, Make make) {
    auto found = entries_.find(key);
    if (found != entries_.end() && found->second->is_ready &&
        found->second->good_until <= Clock::now()) {
        erase(found);
        found = entries_.end();
    }
    std::shared_ptr<Entry> entry;
    if (found == entries_.end()) {
        if (making_ >= limits_.making_max)
            co_return problem(503, "overloaded", "the console is busy; try again");
        entry = std::make_shared<Entry>(executor_, ttl);
        entries_.emplace(key, entry);
        ++making_;
        tasks_.spawn(fill(std::move(key), entry, std::move(make)));
    } else {
        entry = found->second;
    }
    if (!entry->is_ready) co_await entry->ready.async_wait(asio::as_tuple(asio::use_awaitable));
    if (!entry->is_ready) co_return problem(503, "stopping", "the console is stopping");
    co_return entry->answer;
}

Task<> Cache::fill(std::string key, std::shared_ptr<Entry> entry, Make make) {
    try {
        entry->answer = co_await make();
    } catch (const std::exception& error) {
        entry->answer = http::Response(500);
        entry->answer.failure = std::string("exception: ") + error.what();
    }
    TXS_ASSERT(!entry->answer.stream, "a stream has no copy that could be kept");
    --making_;
    entry->is_ready = true;
    const auto ttl = entry->answer.status >= 500 ? std::min(entry->ttl, kFailureTtl) : entry->ttl;
    entry->good_until = Clock::now() + ttl;
    entry->bytes = key.size() + entry->answer.body.size();
    bytes_ += entry->bytes;
    entry->ready.cancel();
    make_room();
}

// Who waits for an entry holds it: it may be dropped here before he has read it.
void Cache::make_room() {
    const auto now = Clock::now();
    for (auto entry = entries_.begin(); entry != entries_.end();) {
        const auto next = std::next(entry);
        if (entry->second->is_ready && entry->second->good_until <= now) erase(entry);
        entry = next;
    }
    while (bytes_ > limits_.bytes_max || entries_.size() > limits_.entries_max) {
        auto soonest = entries_.end();
        for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
            if (!entry->second->is_ready) continue;
            if (soonest == entries_.end() ||
                entry->second->good_until < soonest->second->good_until)
                soonest = entry;
        }
        if (soonest == entries_.end()) return;
        erase(soonest);
    }
}

void Cache::erase(Entries::iterator entry) {
    bytes_ -= entry->second->bytes;
    entries_.erase(entry);
}

Task<> Cache::stop() {
    tasks_.cancel();
    for (const auto& [key, entry] : entries_) entry->ready.cancel();
    (void)co_await tasks_.join();
}

}  // namespace txstream::console
