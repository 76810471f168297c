#pragma once

#include "runtime/task.hpp"
#include "telemetry/registry.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include <array>
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

    MetricsPage(asio::any_io_executor executor, const telemetry::Registry& metrics);
    ~MetricsPage();

    Task<Text> render(telemetry::Exposition form);

private:
    static constexpr std::array kForms{
        telemetry::Exposition::text, telemetry::Exposition::openmetrics
    };
    template <class T>
    using ByForm = std::array<T, kForms.size()>;

    void begin();
    void end(ByForm<Text> page);

    asio::any_io_executor executor_;
    const telemetry::Registry& metrics_;
    asio::steady_timer rendered_;  ///< never expires; cancelled when a page is ready
    ByForm<Text> page_;            ///< each form as it was last rendered
    ByForm<bool> wanted_forms_{};  ///< of the next page
    std::uint64_t wanted_ = 0;     ///< pages are numbered from 1
    std::uint64_t begun_ = 0;
    std::uint64_t done_ = 0;
    asio::thread_pool thread_{1};  ///< last: joined before the others are destroyed
};

}  // namespace txstream::app
