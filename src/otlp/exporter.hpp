#pragma once

#include "otlp/options.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task.hpp"
#include "runtime/wakeup.hpp"
#include "telemetry/tracer.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>

namespace txstream::otlp {

/// Sends spans to a collector, in batches, on a thread of its own. Whatever the collector does,
/// handing over a span never waits for it: what finds the queue full is dropped and counted.
///
/// take() may be called from any thread; the rest belongs to the thread of the executor. stop()
/// before it is destroyed.
class Exporter final : public telemetry::SpanSink {
public:
    enum class Outcome : std::uint8_t { sent, dropped };
    /// Called on any thread, one call at a time.
    using Counted = std::function<void(Outcome, std::size_t spans)>;

    /// Code::invalid_input when the certificates cannot be used. A collector that is away is no
    /// error.
    static Result<std::unique_ptr<Exporter>> create(
        asio::any_io_executor executor, Options options, Counted counted
    );
    ~Exporter() override;
    Exporter(const Exporter&) = delete;
    Exporter& operator=(const Exporter&) = delete;

    void take(telemetry::Span span) override;

    /// Sends what waits, each batch once, until the deadline at most; then what is left is dropped.
    Task<> stop(Deadline deadline);

private:
    class Shared;

    Exporter(asio::any_io_executor executor, std::shared_ptr<Shared> shared);

    asio::any_io_executor executor_;
    runtime::Wakeup ended_;
    // Owned by the thread too: one that hangs in a look-up of a name outlives us.
    std::shared_ptr<Shared> shared_;
    std::thread thread_;
};

}  // namespace txstream::otlp
