#include "runtime/signals.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <csignal>

namespace txstream::runtime {

StopSignals::StopSignals(const asio::any_io_executor& executor)
    : signals_(executor, SIGINT, SIGTERM) {
}

Task<int> StopSignals::next() {
    const auto [error, number] = co_await signals_.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return error ? 0 : number;
}

void StopSignals::cancel() {
    signals_.cancel();
}

void ignore_broken_pipes() noexcept {
    (void)std::signal(SIGPIPE, SIG_IGN);
}  // cannot fail here

}  // namespace txstream::runtime
