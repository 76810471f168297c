#include "console/kafka_session.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <mutex>
#include <optional>

namespace txstream::console {

struct KafkaSession::State {
    Properties properties;
    Limits limits;
    std::mutex mutex;  // of what follows
    std::shared_ptr<kafka::Cluster> cluster;
    std::chrono::steady_clock::time_point reopen_at{};
    std::optional<Error> refused;
    std::size_t opened = 0;
};

KafkaSession::KafkaSession(
    asio::any_io_executor executor, runtime::Offload& offload, Properties properties, Limits limits
)
    : executor_(std::move(executor)),
      offload_(offload),
      limits_(limits),
      state_(std::make_shared<State>()),
      tasks_(executor_) {
    state_->properties = std::move(properties);
    state_->limits = limits;
}

KafkaSession::~KafkaSession() = default;

Result<std::shared_ptr<kafka::Cluster>> KafkaSession::acquire(State& state) {
    const std::lock_guard lock(state.mutex);
    if (state.cluster) return state.cluster;
    if (state.refused && std::chrono::steady_clock::now() < state.reopen_at)
        return tl::unexpected<Error>(*state.refused);
    TXS_TRY(const auto properties, state.properties());
    TXS_TRY(auto cluster, kafka::Cluster::open(properties, nullptr, {}));
    state.cluster = std::move(cluster);
    state.refused.reset();
    ++state.opened;
    return state.cluster;
}

// librdkafka would try the refused login again and again, with the secret of then.
void KafkaSession::release(State& state, const std::shared_ptr<kafka::Cluster>& cluster) {
    const auto refusal = cluster->refused_login();
    if (!refusal) return;
    const std::lock_guard lock(state.mutex);
    if (state.cluster != cluster) return;
    state.cluster.reset();
    state.refused = refusal;
    state.reopen_at = std::chrono::steady_clock::now() + state.limits.reopen_min;
}

void KafkaSession::touch() {
    used_at_ = std::chrono::steady_clock::now();
    if (is_watched_) return;
    is_watched_ = true;
    tasks_.spawn(close_when_idle());
}

Task<> KafkaSession::close_when_idle() {
    asio::steady_timer timer(executor_);
    while (std::chrono::steady_clock::now() < used_at_ + limits_.idle_max) {
        timer.expires_at(used_at_ + limits_.idle_max);
        co_await timer.async_wait(asio::use_awaitable);
    }
    is_watched_ = false;
    co_await close();
}

// Destroying a client waits for its threads.
Task<> KafkaSession::close() {
    std::shared_ptr<kafka::Cluster> cluster;
    {
        const std::lock_guard lock(state_->mutex);
        cluster = std::move(state_->cluster);
    }
    if (!cluster) co_return;
    auto destroy = [cluster = std::move(cluster)]() mutable -> Result<> {
        cluster.reset();
        return {};
    };
    (void)co_await offload_.run(std::move(destroy), Deadline::in(kMargin));
}

bool KafkaSession::is_open() const {
    const std::lock_guard lock(state_->mutex);
    return state_->cluster != nullptr;
}

std::size_t KafkaSession::opened() const {
    const std::lock_guard lock(state_->mutex);
    return state_->opened;
}

Task<> KafkaSession::stop() {
    tasks_.cancel();
    (void)co_await tasks_.join();
    co_await close();
}

}  // namespace txstream::console
