#pragma once

#include "base/error.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task.hpp"
#include "runtime/timer.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <utility>

namespace txstream::operations {

/// How often a command that waits looks.
inline constexpr std::chrono::milliseconds kLookEvery{500};
/// A statement that is begun with less than this left would be cut off by the deadline.
inline constexpr std::chrono::milliseconds kLastLook{200};
/// The server's timers end a statement a little before our own deadline.
inline constexpr std::chrono::seconds kCutOff{1};

/// Whether the deadline ended the statement: by the server's timers, or by ours.
inline bool was_cut_off(const Error& error, Deadline deadline) {
    const auto& origin = error.origin();
    return deadline.left() < kCutOff &&
           (error.code() == Code::timed_out || origin == "57014" || origin == "55P03");
}

template <class T>
struct Looking {
    std::function<Task<Result<T>>()> look;
    std::function<bool(const T&)> is_done;
    std::function<void(const T&)> on_look{};  ///< told of each look
};

/// Looks at least once, and then again until `is_done`, at most until the deadline; returns what
/// the last look saw. A look that the deadline cuts off is none. One that takes long is followed by
/// twice as long a pause: the server has other work.
template <class T>
Task<Result<T>> look_until(Looking<T> looking, Deadline deadline) {
    runtime::Timer timer(co_await asio::this_coro::executor);
    const Deadline last_look(deadline.at() - kLastLook);
    std::optional<T> last;
    while (true) {
        const auto begun = Deadline::Clock::now();
        auto seen = co_await looking.look();
        if (!seen && last && was_cut_off(seen.error(), deadline)) co_return std::move(*last);
        if (!seen) co_return tl::unexpected<Error>(std::move(seen).error());
        last = std::move(*seen);
        if (looking.on_look) looking.on_look(*last);
        if (looking.is_done(*last) || last_look.passed()) co_return std::move(*last);
        const auto pause =
            std::max<Deadline::Clock::duration>(kLookEvery, 2 * (Deadline::Clock::now() - begun));
        timer.expires_at(last_look.sooner(Deadline::in(pause)).at());
        co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
}

}  // namespace txstream::operations
