#include "otlp/exporter.hpp"

#include "otlp/answer.hpp"
#include "otlp/detail/http_post.hpp"
#include "otlp/trace_json.hpp"
#include "runtime/task_group.hpp"
#include "telemetry/log.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <random>
#include <utility>
#include <vector>

namespace txstream::otlp {

namespace {

constexpr std::string_view kComponent = "traces";
// After a stop's time is over, for a request that is being broken off.
constexpr std::chrono::milliseconds kEndingGrace{500};

}  // namespace

/// What the thread and those who hand over spans share.
class Exporter::Shared {
public:
    using Clock = Deadline::Clock;

    Shared(Options options, Counted counted, std::unique_ptr<detail::HttpPost> http)
        : options_(std::move(options)), counted_(std::move(counted)), http_(std::move(http)) {}

    void take(telemetry::Span span) {
        const auto bytes = span.bytes();
        const std::scoped_lock lock(mutex_);
        if (is_stopping_ || waiting_.size() >= options_.queue_spans_max ||
            waiting_bytes_ + bytes > options_.queue_bytes_max)
            return count(Outcome::dropped, 1);
        waiting_.push_back(std::move(span));
        waiting_bytes_ += bytes;
        // The thread waits for the first, and then for a whole batch or its time.
        if (waiting_.size() == 1 || is_batch_there()) changed_.notify_one();
    }

    void run() {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, [this] { return is_stopping_ || !waiting_.empty(); });
            if (waiting_.empty()) break;
            changed_.wait_for(lock, options_.schedule_delay, [this] {
                return is_stopping_ || is_batch_there();
            });
            do {
                const auto batch = take_batch();
                lock.unlock();
                const auto sent = send(batch);
                lock.lock();
                count(Outcome::sent, sent);
                count(Outcome::dropped, batch.size() - sent);
            } while (!waiting_.empty() && !is_broken_off_ && (is_stopping_ || is_batch_there()));
            if (is_broken_off_) break;
        }
        count(Outcome::dropped, waiting_.size());
        waiting_.clear();
        is_ended_ = true;
        if (ended_) ended_();
    }

    // --- the stop

    std::chrono::milliseconds flush_timeout() const noexcept { return options_.flush_timeout; }
    /// `ended` is called on the thread when it is over; false when it is already.
    bool begin_stop(std::function<void()> ended) {
        const std::scoped_lock lock(mutex_);
        if (is_ended_) return false;
        is_stopping_ = true;
        ended_ = std::move(ended);
        changed_.notify_one();
        return true;
    }
    void break_off() {
        const std::scoped_lock lock(mutex_);
        is_stopping_ = is_broken_off_ = true;
        changed_.notify_one();
        asio::post(loop_, [this] { requests_.cancel(); });
    }
    bool has_ended() {
        const std::scoped_lock lock(mutex_);
        return is_ended_;
    }
    /// True when the thread has ended. If not, it touches nothing of its owner's from now on.
    bool leave() {
        const std::scoped_lock lock(mutex_);
        ended_ = nullptr;
        counted_ = nullptr;
        return is_ended_;
    }

private:
    // The caller holds the mutex.
    bool is_batch_there() const {
        return waiting_.size() >= options_.batch_spans_max ||
               waiting_bytes_ >= options_.batch_bytes_max;
    }

    // The caller holds the mutex.
    std::vector<telemetry::Span> take_batch() {
        std::vector<telemetry::Span> batch;
        std::size_t bytes = 0;
        while (!waiting_.empty() && batch.size() < options_.batch_spans_max) {
            const auto next = waiting_.front().bytes();
            if (!batch.empty() && bytes + next > options_.batch_bytes_max) break;
            bytes += next;
            batch.push_back(std::move(waiting_.front()));
            waiting_.pop_front();
        }
        waiting_bytes_ -= bytes;
        return batch;
    }

    // The caller holds the mutex.
    void count(Outcome outcome, std::size_t spans) {
        if (counted_ && spans > 0) counted_(outcome, spans);
    }

    // All below is the thread's.

    /// How many the collector took.
    std::size_t send(const std::vector<telemetry::Span>& batch) {
        const auto body = trace_request(options_.resource, batch);
        const auto give_up = Deadline::in(options_.export_timeout);
        for (unsigned attempt = 0;; ++attempt) {
            const auto reply = post(body, Deadline::in(options_.timeout).sooner(give_up));
            if (reply && verdict_of(reply->status) == Verdict::taken)
                return taken(batch.size(), *reply);
            const auto why = reply ? fmt::format("the collector answers {}", reply->status)
                                   : reply.error().what();
            // An error of the connection is like 503.
            const bool may_pass = !reply || verdict_of(reply->status) == Verdict::later;
            const double uniform = std::uniform_real_distribution<double>(0.0, 1.0)(random_);
            auto pause = options_.retry.delay(attempt, uniform);
            if (reply) pause = pause_of(reply->retry_after).value_or(pause);
            if (!may_pass || pause >= give_up.left() || !wait_unless_stopping(pause)) {
                trouble(why, batch.size());
                return 0;
            }
        }
    }

    Result<detail::Reply> post(std::string_view body, Deadline deadline) {
        Result<detail::Reply> reply = fail(Code::cancelled, "the process stops");
        const auto run = [](detail::HttpPost& http,
                            std::string_view json,
                            Deadline until,
                            Result<detail::Reply>& into) -> Task<> {
            into = co_await http.post(json, until);
        };
        requests_.spawn(run(*http_, body, deadline, reply));
        loop_.restart();
        loop_.run();
        return reply;
    }

    /// False: there is no time for it.
    bool wait_unless_stopping(std::chrono::milliseconds pause) {
        std::unique_lock lock(mutex_);
        return !changed_.wait_for(lock, pause, [this] { return is_stopping_; });
    }

    std::size_t taken(std::size_t spans, const detail::Reply& reply) {
        const auto partial = partial_success(reply.body);
        const auto rejected = static_cast<std::size_t>(
            std::clamp<std::int64_t>(partial.rejected_spans, 0, static_cast<std::int64_t>(spans))
        );
        if (rejected > 0) {
            trouble("the collector rejects spans: " + partial.message, rejected);
        } else if (std::exchange(is_in_trouble_, false)) {
            log::info(kComponent, "spans are sent again", {{"spans_dropped", lost_}});
        }
        return spans - rejected;
    }

    // Once, until it is over: the metric counts.
    void trouble(std::string_view why, std::size_t spans) {
        if (!std::exchange(is_in_trouble_, true)) {
            lost_ = 0;
            log::warn(
                kComponent,
                "spans cannot be sent and are dropped; events and orders are not affected",
                {{"endpoint", options_.endpoint.url()}, {"error", why}}
            );
        }
        lost_ += spans;
    }

    const Options options_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<telemetry::Span> waiting_;  // guarded by mutex_
    std::size_t waiting_bytes_ = 0;        // guarded by mutex_
    Counted counted_;                      // guarded by mutex_
    std::function<void()> ended_;          // guarded by mutex_
    bool is_stopping_ = false;             // guarded by mutex_: no span is taken, no try repeated
    bool is_broken_off_ = false;           // guarded by mutex_: no request is made
    bool is_ended_ = false;                // guarded by mutex_

    asio::io_context loop_{1};
    runtime::TaskGroup requests_{loop_.get_executor()};
    std::unique_ptr<detail::HttpPost> http_;
    std::mt19937_64 random_{std::random_device{}()};
    bool is_in_trouble_ = false;
    std::size_t lost_ = 0;
};

Result<std::unique_ptr<Exporter>> Exporter::create(
    asio::any_io_executor executor, Options options, Counted counted
) {
    TXS_TRY(
        auto http,
        detail::HttpPost::create(options.endpoint, options.headers, options.certificate_file)
    );
    auto shared = std::make_shared<Shared>(std::move(options), std::move(counted), std::move(http));
    return std::unique_ptr<Exporter>(new Exporter(std::move(executor), std::move(shared)));
}

Exporter::Exporter(asio::any_io_executor executor, std::shared_ptr<Shared> shared)
    : executor_(std::move(executor)), ended_(executor_), shared_(std::move(shared)) {
    thread_ = std::thread([own = shared_] { own->run(); });
}

Exporter::~Exporter() {
    if (!thread_.joinable()) return;
    shared_->break_off();
    (void)shared_->leave();
    thread_.detach();
}

void Exporter::take(telemetry::Span span) {
    shared_->take(std::move(span));
}

Task<> Exporter::stop(Deadline deadline) {
    if (!thread_.joinable()) co_return;
    const auto flush = Deadline::in(shared_->flush_timeout()).sooner(deadline);
    const auto executor = executor_;
    auto* const ended = &ended_;
    if (shared_->begin_stop([executor, ended] {
            asio::post(executor, [ended] { ended->notify(); });
        })) {
        co_await ended_.wait(flush.at());
        if (!shared_->has_ended()) {
            shared_->break_off();
            co_await ended_.wait(Deadline::in(kEndingGrace).at());
        }
    }
    if (shared_->leave()) {
        thread_.join();
    } else {
        thread_.detach();
    }
}

}  // namespace txstream::otlp
