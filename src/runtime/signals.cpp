#include "runtime/signals.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <csignal>

namespace txstream::runtime {

Signals::Signals(const asio::any_io_executor& executor, std::initializer_list<int> numbers)
    : signals_(executor) {
    for (const int number : numbers) signals_.add(number);
}

StopSignals::StopSignals(const asio::any_io_executor& executor)
    : Signals(executor, {SIGINT, SIGTERM}) {
}

HangupSignals::HangupSignals(const asio::any_io_executor& executor) : Signals(executor, {SIGHUP}) {
}

Task<int> Signals::next() {
    const auto [error, number] = co_await signals_.async_wait(asio::as_tuple(asio::use_awaitable));
    co_return error ? 0 : number;
}

void Signals::cancel() {
    signals_.cancel();
}

void ignore_broken_pipes() noexcept {
    (void)std::signal(SIGPIPE, SIG_IGN);
}  // cannot fail here

}  // namespace txstream::runtime
