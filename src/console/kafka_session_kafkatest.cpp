#include "console/kafka_session.hpp"
#include "kafka/dev_broker.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>

namespace txstream::console {
namespace {

using namespace std::chrono_literals;

/// A session on a loop of its own.
struct Bench {
    std::unique_ptr<kafka::DevBroker> broker = kafka::DevBroker::start().value();
    std::string bootstrap = broker->bootstrap();
    int properties_read = 0;
    asio::io_context loop;
    runtime::Offload offload{loop.get_executor(), {}};
    runtime::TaskGroup tasks{loop.get_executor()};
    KafkaSession session;

    explicit Bench(KafkaSession::Limits limits)
        : session(
              loop.get_executor(),
              offload,
              [this]() -> Result<kafka::Properties> {
                  ++properties_read;
                  return kafka::Properties{{"bootstrap.servers", bootstrap}};
              },
              limits
          ) {}

    /// Runs the loop until the task has ended, 20 s at most.
    template <class T>
    T run(Task<T> task) {
        std::optional<T> result;
        tasks.spawn(keep(std::move(task), result));
        EXPECT_TRUE(eventually([&] { return result.has_value(); }));
        return std::move(result).value();
    }
    template <class T>
    static Task<> keep(Task<T> task, std::optional<T>& result) {
        result = co_await std::move(task);
    }

    Result<std::size_t> brokers() {
        return run(session.ask(
            [](kafka::Cluster& cluster) -> Result<std::size_t> {
                TXS_TRY(const auto state, cluster.describe(Deadline::in(10s)));
                return state.brokers.size();
            },
            Deadline::in(10s)
        ));
    }

    template <class Condition>
    bool eventually(Condition condition) {
        loop.restart();
        const auto end = std::chrono::steady_clock::now() + 20s;
        while (!condition() && std::chrono::steady_clock::now() < end) loop.run_one_for(10ms);
        return condition();
    }
};

TEST(KafkaSessionTest, ItIsOpenOnlyWhileSomethingAsks) {
    Bench bench({.idle_max = 300ms, .reopen_min = 1s});
    EXPECT_FALSE(bench.session.is_open());
    EXPECT_EQ(bench.properties_read, 0);
    EXPECT_EQ(bench.brokers().value(), 1U);
    EXPECT_EQ(bench.brokers().value(), 1U);
    EXPECT_EQ(bench.session.opened(), 1U) << "questions share one client";
    EXPECT_TRUE(bench.eventually([&] { return !bench.session.is_open(); }));
    EXPECT_EQ(bench.brokers().value(), 1U) << "and it opens again";
    EXPECT_EQ(bench.properties_read, 2);
    bench.tasks.spawn(bench.session.stop());
    EXPECT_TRUE(bench.eventually([&] { return bench.tasks.size() == 0; }));
    EXPECT_FALSE(bench.session.is_open());
}

}  // namespace
}  // namespace txstream::console
