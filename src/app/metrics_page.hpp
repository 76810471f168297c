#pragma once

#include "runtime/task.hpp"
#include "telemetry/metrics.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace txstream::app {

/// The metrics as text. Rendering takes milliseconds and happens on a thread of its own, so that
/// the event loop keeps answering orders and probes.
///
/// A page is rendered after it was requested, never before, so its figures are never older than the
/// request. All requests that arrive while a page is being rendered share the next one, so any
/// number of scrapers costs one thread at most. Belongs to the thread of `executor`.
class MetricsPage {
public:
    using Text = std::shared_ptr<const std::string>;

    MetricsPage(asio::any_io_executor executor, const telemetry::Metrics& metrics);
    ~MetricsPage();

    Task<Text> render();

private:
    void begin();
    void end(Text page);

    asio::any_io_executor executor_;
    const telemetry::Metrics& metrics_;
    asio::steady_timer rendered_;  ///< never expires; cancelled when a page is ready
    Text page_;
    std::uint64_t wanted_ = 0;  ///< pages are numbered from 1
    std::uint64_t begun_ = 0;
    std::uint64_t done_ = 0;
    asio::thread_pool thread_{1};  ///< last: joined before the others are destroyed
};

}  // namespace txstream::app
