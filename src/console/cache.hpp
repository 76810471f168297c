#pragma once

#include "http/response.hpp"
#include "runtime/task.hpp"
#include "runtime/task_group.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace txstream::console {

/// Answers that are the same for whoever asks: N tabs cost what one costs. Whoever asks while an
/// answer is being made waits for that one; afterwards it is good for its time to live.
///
/// What makes an answer runs to its end even when the one who asked first has gone. Failures (500
/// and more) are kept for a second at most. Belongs to the thread of its executor.
class Cache {
public:
    using Clock = std::chrono::steady_clock;
    struct Limits {
        std::size_t entries_max = 512;
        std::size_t bytes_max = std::size_t{8} << 20;
        std::size_t making_max = 64;  ///< answers being made at one time; beyond it 503
    };
    using Make = std::function<Task<http::Response>()>;

    explicit Cache(asio::any_io_executor executor) : Cache(std::move(executor), Limits{}) {}
    Cache(asio::any_io_executor executor, Limits limits);

    /// The key says all that the answer depends on: route, query, and what a role may see.
    Task<http::Response> answer(std::string key, std::chrono::milliseconds ttl, Make make);

    /// Ends what is being made; nothing is answered from then on. Before the destructor.
    Task<> stop();

    std::size_t bytes() const noexcept { return bytes_; }

private:
    struct Entry;
    using Entries = std::map<std::string, std::shared_ptr<Entry>, std::less<>>;

    Task<> fill(std::string key, std::shared_ptr<Entry> entry, Make make);
    void make_room();
    void erase(Entries::iterator entry);

    asio::any_io_executor executor_;
    Limits limits_;
    Entries entries_;
    std::size_t bytes_ = 0;
    std::size_t making_ = 0;
    runtime::TaskGroup tasks_;
};

}  // namespace txstream::console
