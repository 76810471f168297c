#pragma once

#include "kafka/cluster.hpp"
#include "runtime/offload.hpp"
#include "runtime/task_group.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace txstream::console {

/// The console's connection to Kafka for questions about the cluster. Made when a page asks for
/// something, closed after a while in which none does, so that a console without a page costs Kafka
/// nothing. Made again with the secrets of then when Kafka has refused the login.
///
/// Belongs to the thread of its executor; the questions run on the offload's.
class KafkaSession {
public:
    using Properties = std::function<Result<kafka::Properties>()>;
    struct Limits {
        std::chrono::milliseconds idle_max{30'000};
        /// After a refused login. Until then its error answers.
        std::chrono::milliseconds reopen_min{1'000};
    };
    /// Beyond the deadline of the question: how long the answer may take to come back.
    static constexpr std::chrono::milliseconds kMargin{1'000};

    KafkaSession(asio::any_io_executor executor, runtime::Offload& offload, Properties properties)
        : KafkaSession(std::move(executor), offload, std::move(properties), Limits{}) {}
    KafkaSession(
        asio::any_io_executor executor,
        runtime::Offload& offload,
        Properties properties,
        Limits limits
    );
    ~KafkaSession();
    KafkaSession(const KafkaSession&) = delete;
    KafkaSession& operator=(const KafkaSession&) = delete;

    /// `work` takes the cluster and gives a Result; it runs on a thread that may block, and must
    /// return by the deadline (with Cluster's margin).
    template <class Work>
    Task<std::invoke_result_t<Work&, kafka::Cluster&>> ask(Work work, Deadline deadline) {
        touch();
        auto question = [state = state_, work = std::move(work)](
                        ) mutable -> std::invoke_result_t<Work&, kafka::Cluster&> {
            TXS_TRY(const auto cluster, acquire(*state));
            auto answer = work(*cluster);
            release(*state, cluster);
            return answer;
        };
        const Deadline answered_by(deadline.at() + kMargin);
        co_return co_await offload_.run(std::move(question), answered_by);
    }

    /// Whether there is a client now. Any thread.
    bool is_open() const;
    /// How many were made. Any thread.
    std::size_t opened() const;

    /// Closes it. Before the destructor, after the last question.
    Task<> stop();

private:
    struct State;

    static Result<std::shared_ptr<kafka::Cluster>> acquire(State& state);
    static void release(State& state, const std::shared_ptr<kafka::Cluster>& cluster);
    void touch();
    Task<> close_when_idle();
    Task<> close();

    asio::any_io_executor executor_;
    runtime::Offload& offload_;
    Limits limits_;
    std::shared_ptr<State> state_;
    std::chrono::steady_clock::time_point used_at_;
    bool is_watched_ = false;
    runtime::TaskGroup tasks_;
};

}  // namespace txstream::console
