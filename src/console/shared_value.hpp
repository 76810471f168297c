#pragma once

#include "base/error.hpp"
#include "runtime/task.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace txstream::console {

/// A value that several answers are made of: got once for all that ask while it is being got, and
/// kept for a while. Failures are not kept. Belongs to the thread of its executor.
template <class T>
class SharedValue {
public:
    using Pointer = std::shared_ptr<const T>;
    using Make = std::function<Task<Result<T>>()>;

    SharedValue(asio::any_io_executor executor, std::chrono::milliseconds ttl, Make make)
        : executor_(std::move(executor)), ttl_(ttl), make_(std::move(make)) {}

    Task<Result<Pointer>> get() {
        if (value_ && std::chrono::steady_clock::now() < good_until_) co_return value_;
        if (making_) {
            const auto making = making_;
            co_await making->ready.async_wait(asio::as_tuple(asio::use_awaitable));
            if (making->result) co_return *making->result;
            co_return fail(Code::cancelled, "the console is stopping");
        }
        const auto making = std::make_shared<Making>(executor_);
        making_ = making;
        // Also when this wait is cancelled: the others must not wait for it.
        const std::unique_ptr<SharedValue, Finish> finish(this);
        auto made = co_await make_();
        if (made) {
            value_ = std::make_shared<const T>(std::move(*made));
            good_until_ = std::chrono::steady_clock::now() + ttl_;
            making->result = value_;
        } else {
            making->result = tl::unexpected<Error>(std::move(made).error());
        }
        co_return *making->result;
    }

private:
    struct Making {
        explicit Making(const asio::any_io_executor& executor)
            : ready(executor, asio::steady_timer::time_point::max()) {}
        asio::steady_timer ready;  ///< never expires; cancelled at the end
        std::optional<Result<Pointer>> result;
    };
    struct Finish {
        void operator()(SharedValue* value) const {
            const auto making = std::move(value->making_);
            value->making_.reset();
            making->ready.cancel();
        }
    };

    asio::any_io_executor executor_;
    std::chrono::milliseconds ttl_;
    Make make_;
    Pointer value_;
    std::chrono::steady_clock::time_point good_until_{};
    std::shared_ptr<Making> making_;
};

}  // namespace txstream::console
