#pragma once

#include "runtime/task.hpp"

#include <boost/asio/signal_set.hpp>

#include <initializer_list>

namespace txstream::runtime {

/// Signals as something to wait for. From construction on they no longer end the process, so the
/// owner must wait.
class Signals {
public:
    Signals(const asio::any_io_executor& executor, std::initializer_list<int> numbers);

    /// Takes one signal. The number of the signal that came; 0 when the wait was cancelled.
    Task<int> next();
    /// Ends a waiting next(), which returns 0.
    void cancel();

private:
    asio::signal_set signals_;
};

/// SIGINT and SIGTERM. A second one is how an operator says that draining takes too long.
class StopSignals : public Signals {
public:
    explicit StopSignals(const asio::any_io_executor& executor);
};

/// SIGHUP: whoever rotates logs sends it.
class HangupSignals : public Signals {
public:
    explicit HangupSignals(const asio::any_io_executor& executor);
};

/// Writing to a closed peer then is an error of that write and not the end of the process.
void ignore_broken_pipes() noexcept;

}  // namespace txstream::runtime
