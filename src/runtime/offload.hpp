#pragma once

#include "base/error.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace txstream::runtime {

/// Runs calls that block on threads of its own, a bounded number at a time, so that an event loop
/// need not wait for them. run() belongs to the thread of the executor.
///
/// A caller stops waiting at its deadline (Code::timed_out); the call itself goes on and keeps its
/// thread until it returns, so it must have a deadline of its own. The destructor waits for calls
/// that run, and drops those that have not begun.
class Offload {
public:
    struct Limits {
        std::size_t threads = 4;
        std::size_t waiting_max = 64;  ///< beyond those that run: Code::overloaded
    };

    Offload(asio::any_io_executor executor, Limits limits);
    ~Offload();
    Offload(const Offload&) = delete;
    Offload& operator=(const Offload&) = delete;

    /// `work` gives a Result; it runs on another thread, and is destroyed there.
    template <class Work>
    Task<std::invoke_result_t<Work&>> run(Work work, Deadline deadline) {
        using Answer = std::invoke_result_t<Work&>;
        struct State {
            State(const asio::any_io_executor& executor, Deadline until)
                : timer(executor, until.at()) {}
            asio::steady_timer timer;
            std::optional<Answer> answer;
        };
        if (!has_room()) co_return fail(Code::overloaded, "too many calls wait; try again later");
        auto state = std::make_shared<State>(executor_, deadline);
        // A function object must be copyable, and work need not be.
        auto shared = std::make_shared<Work>(std::move(work));
        post([state, shared = std::move(shared)]() mutable {
            auto answer = std::make_shared<Answer>((*shared)());
            shared.reset();
            return std::function<void()>([state = std::move(state), answer] {
                state->answer = std::move(*answer);
                state->timer.cancel();
            });
        });
        co_await state->timer.async_wait(asio::as_tuple(asio::use_awaitable));
        if (!state->answer) co_return fail(Code::timed_out, "no answer in time");
        co_return std::move(*state->answer);
    }

private:
    class Impl;
    /// `work` runs on a thread of the pool; what it returns runs on the executor.
    void post(std::function<std::function<void()>()> work);
    bool has_room() const;

    asio::any_io_executor executor_;
    std::shared_ptr<Impl> impl_;
};

}  // namespace txstream::runtime
