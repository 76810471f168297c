#pragma once

#include "runtime/task.hpp"

#include <boost/asio/signal_set.hpp>

namespace txstream::runtime {

/// SIGINT and SIGTERM as something to wait for. From construction on they no longer end the
/// process, so the owner must wait. Each call of next() takes one signal; a second one is how an
/// operator says that draining takes too long.
class StopSignals {
public:
    explicit StopSignals(const asio::any_io_executor& executor);

    /// The number of the signal that came; 0 when the wait was cancelled.
    Task<int> next();
    /// Ends a waiting next(), which returns 0.
    void cancel();

private:
    asio::signal_set signals_;
};

/// Writing to a closed peer then is an error of that write and not the end of the process.
void ignore_broken_pipes() noexcept;

}  // namespace txstream::runtime
