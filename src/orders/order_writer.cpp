#include "orders/order_writer.hpp"

#include "orders/order_repository.hpp"
#include "runtime/wakeup.hpp"
#include "telemetry/semconv.hpp"

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace txstream::orders {

namespace {

/// Counts one for as long as it lives, whatever ends it.
class Counted {
public:
    explicit Counted(std::size_t& count) : count_(count) { ++count_; }
    ~Counted() { --count_; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;

private:
    std::size_t& count_;
};

tl::unexpected<Error> record_too_large(std::size_t bytes, std::size_t bytes_max) {
    return fail(
        Code::rejected,
        fmt::format(
            "the order is too large: its event takes {} bytes in Kafka, the limit is {}; "
            "use fewer items or shorter texts",
            bytes,
            bytes_max
        ),
        std::string(kRecordTooLarge)
    );
}

}  // namespace

/// One order on its way. Shared, because the one who waits for it may give up before it is written.
struct OrderWriter::Placing {
    Placing(
        const asio::any_io_executor& executor,
        domain::Order wanted,
        Deadline until,
        std::optional<telemetry::Trace> of_request
    )
        : order(with_event(std::move(wanted), of_request)),
          trace(std::move(of_request)),
          bytes(order.event_data.size() + order.headers.size()),
          deadline(until),
          answered(executor) {}

    void answer(Result<domain::Order> given) {
        result.emplace(std::move(given));
        answered.notify();
    }

    NewOrder order;
    std::optional<telemetry::Trace> trace;
    std::size_t bytes;
    Deadline deadline;
    std::optional<Result<domain::Order>> result;
    runtime::Wakeup answered;
};

OrderWriter::OrderWriter(
    asio::any_io_executor executor,
    pg::Pool& pool,
    const Metrics& metrics,
    std::function<void()> committed,
    Limits limits,
    BatchTracing tracing
)
    : pool_(pool),
      metrics_(metrics),
      committed_(std::move(committed)),
      limits_(limits),
      tracing_(std::move(tracing)),
      tasks_(std::move(executor)) {
}

OrderWriter::~OrderWriter() = default;

Task<Result<domain::Order>> OrderWriter::place(
    domain::Order order, Deadline deadline, std::optional<telemetry::Trace> trace
) {
    if (tasks_.cancelled()) co_return fail(Code::unavailable, "the API stops");
    constexpr auto kTooMany = "too many orders wait for the database";
    if (waiting_.size() >= limits_.waiting_max) co_return fail(Code::overloaded, kTooMany);
    const auto mine =
        std::make_shared<Placing>(tasks_.executor(), std::move(order), deadline, std::move(trace));
    if (limits_.record_bytes_max) {
        const auto bytes = record_bytes(mine->order);
        const auto bytes_max = limits_.record_bytes_max();
        if (bytes > bytes_max) co_return record_too_large(bytes, bytes_max);
    }
    if (waiting_bytes_ + mine->bytes > limits_.waiting_bytes_max)
        co_return fail(Code::overloaded, kTooMany);
    waiting_.push_back(mine);
    waiting_bytes_ += mine->bytes;
    const Counted counted(unanswered_);
    if (writers_ < limits_.batches_max) {
        ++writers_;
        tasks_.spawn(write_batches());
    }
    co_await mine->answered.wait(deadline.at());
    if (mine->result) co_return std::move(*mine->result);
    if (std::erase(waiting_, mine) > 0) {
        waiting_bytes_ -= mine->bytes;
        co_return fail(Code::unavailable, "the order's time was over before it could be written");
    }
    co_return fail(Code::timed_out, "the database did not answer in time");
}

Task<> OrderWriter::stop() {
    tasks_.cancel();
    (void)co_await tasks_.join();  // none ends with an error
}

Task<> OrderWriter::write_batches() {
    // Cancelled, it still answers those who wait.
    co_await asio::this_coro::throw_if_cancelled(false);
    while (!waiting_.empty()) {
        if (tasks_.cancelled()) {
            fail_all(take_batch(), Error(Code::unavailable, "the API stops"));
            continue;
        }
        // Who arrives while we wait for a session goes with us, but not when we have waited in vain
        // for the sake of somebody who had less time.
        const auto until = latest_deadline();
        auto session = co_await pool_.acquire(until);
        if (!session && until.passed() && until.at() < latest_deadline().at()) continue;
        auto batch = take_batch();
        if (batch.empty()) continue;
        metrics_.batch_size.observe(static_cast<double>(batch.size()));
        if (session) {
            co_await write(**session, std::move(batch));
        } else {
            fail_all(batch, session.error());
        }
    }
    --writers_;
}

Deadline OrderWriter::latest_deadline() const {
    auto latest = Deadline::Clock::time_point::min();
    for (const auto& placing : waiting_) latest = std::max(latest, placing->deadline.at());
    return Deadline(latest);
}

OrderWriter::Batch OrderWriter::take_batch() {
    Batch batch;
    std::size_t bytes = 0;
    while (!waiting_.empty() && batch.size() < limits_.orders_max) {
        bytes += waiting_.front()->bytes;
        if (bytes > limits_.bytes_max && !batch.empty()) break;
        waiting_bytes_ -= waiting_.front()->bytes;
        batch.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
    }
    return batch;
}

Task<> OrderWriter::write(pg::Connection& session, Batch batch) {
    std::vector<NewOrder> orders;
    // The latest: who cannot wait so long leaves, and does not end the time of the others.
    auto deadline = batch.front()->deadline;
    for (const auto& placing : batch) {
        orders.push_back(std::move(placing->order));
        deadline = Deadline(std::max(deadline.at(), placing->deadline.at()));
    }
    const auto begun = telemetry::span_time();
    const auto inserted = co_await insert_orders(session, orders, deadline);
    trace(batch, begun, inserted ? nullptr : &inserted.error());
    if (inserted) {
        if (committed_) committed_();
        for (std::size_t i = 0; i < batch.size(); ++i) {
            auto& order = orders[i].order;
            if ((*inserted)[i]) {
                metrics_.created(order);
                batch[i]->answer(std::move(order));
            } else {
                batch[i]->answer(fail(
                    Code::conflict, "order with number " + order.order_number + " already exists"
                ));
            }
        }
    } else if (batch.size() == 1 || !session.is_open() ||
               inserted.error().code() == Code::timed_out) {
        fail_all(batch, inserted.error());
    } else {
        // The server refused the statement for the sake of some of them. Which, each tells alone.
        for (std::size_t i = 0; i < batch.size(); ++i) {
            batch[i]->order = std::move(orders[i]);
            co_await write(session, {batch[i]});
        }
    }
}

void OrderWriter::trace(const Batch& batch, TraceTime begun, const Error* error) {
    namespace semconv = telemetry::semconv;
    if (tracing_.tracer == nullptr) return;
    telemetry::Span span;
    for (const auto& placing : batch) {
        if (placing->trace && placing->trace->context.is_sampled()) span.link(*placing->trace);
    }
    span.trace.context = tracing_.tracer->begin_linked(trace_ids_, !span.links.empty());
    if (!span.trace.context.is_sampled()) return;
    span.name = "INSERT orders";
    span.kind = telemetry::SpanKind::client;
    span.begun = begun;
    span.ended = telemetry::span_time();
    span.set(semconv::kDbSystemName, "postgresql");
    span.set(semconv::kDbNamespace, tracing_.database);
    span.set(semconv::kDbOperationName, "INSERT");
    span.set(semconv::kDbCollectionName, "orders");
    span.set(semconv::kBatchOrders, static_cast<std::int64_t>(batch.size()));
    if (error != nullptr) {
        const auto& state = error->origin();
        span.is_error = true;
        span.set(semconv::kErrorType, state.empty() ? to_string(error->code()) : state);
        if (!state.empty()) span.set(semconv::kDbStatusCode, state);
    }
    tracing_.tracer->record(std::move(span));
}

void OrderWriter::fail_all(const Batch& batch, const Error& error) {
    for (const auto& placing : batch) placing->answer(tl::unexpected<Error>(error));
}

}  // namespace txstream::orders
