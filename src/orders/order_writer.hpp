#pragma once

#include "domain/order.hpp"
#include "orders/metrics.hpp"
#include "pg/pool.hpp"
#include "runtime/task_group.hpp"
#include "telemetry/tracer.hpp"

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::orders {

constexpr std::string_view kRecordTooLarge = "MSG_SIZE_TOO_LARGE";  ///< Kafka's own name

/// Who traces the batches: a span for each, with links to the requests of its orders. Without a
/// tracer none.
struct BatchTracing {
    const telemetry::Tracer* tracer = nullptr;
    std::string database{};  ///< its name
};

/// Group commit: orders that arrive while others are being written go together in one statement, so
/// that one round trip and one fsync serve many. An order that finds a free place goes at once;
/// nothing waits for a timer. One bad order fails alone, never those that were written with it.
///
/// Belongs to the thread of the pool's executor. stop() before it is destroyed.
class OrderWriter {
public:
    struct Limits {
        std::size_t batches_max = 2;   ///< being written at one time, each on a session of the pool
        std::size_t orders_max = 128;  ///< in a batch
        std::size_t bytes_max = std::size_t{4} << 20;  ///< of events in a batch of more than one
        std::size_t waiting_max = 4096;  ///< orders that wait; one more is Code::overloaded
        std::size_t waiting_bytes_max = std::size_t{64} << 20;  ///< of their events, as well
        /// The largest record that Kafka takes; empty: no limit. Asked for each order.
        std::function<std::size_t()> record_bytes_max = nullptr;
    };

    /// `committed` may be empty; it is called after each batch that has committed.
    OrderWriter(
        asio::any_io_executor executor,
        pg::Pool& pool,
        const Metrics& metrics,
        std::function<void()> committed,
        Limits limits,
        BatchTracing tracing = {}
    );
    ~OrderWriter();

    /// The order with its items' ids, once its transaction has committed. Code::conflict, with no
    /// origin, when its number exists. Code::rejected with the origin kRecordTooLarge when its
    /// event could never be sent. Code::timed_out: it may have been written or not; every other
    /// error: it was not. Its event belongs to the `trace`.
    Task<Result<domain::Order>> place(
        domain::Order order, Deadline deadline, std::optional<telemetry::Trace> trace = {}
    );

    /// Breaks off what is being written; who waits in place() gets an error at once. From then on
    /// place() fails.
    Task<> stop();

    /// Orders that place() has accepted and not answered: waiting or being written.
    std::size_t unanswered() const noexcept { return unanswered_; }

private:
    struct Placing;
    using Batch = std::vector<std::shared_ptr<Placing>>;
    using TraceTime = std::chrono::sys_time<std::chrono::nanoseconds>;

    Task<> write_batches();
    /// Of those that wait.
    Deadline latest_deadline() const;
    Batch take_batch();
    Task<> write(pg::Connection& session, Batch batch);
    void trace(const Batch& batch, TraceTime begun, const Error* error);
    static void fail_all(const Batch& batch, const Error& error);

    pg::Pool& pool_;
    const Metrics& metrics_;
    std::function<void()> committed_;
    Limits limits_;
    BatchTracing tracing_;
    telemetry::TraceIds trace_ids_ = telemetry::TraceIds::random();
    std::deque<std::shared_ptr<Placing>> waiting_;
    std::size_t waiting_bytes_ = 0;
    std::size_t unanswered_ = 0;
    std::size_t writers_ = 0;
    runtime::TaskGroup tasks_;
};

}  // namespace txstream::orders
