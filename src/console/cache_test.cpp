#include "console/cache.hpp"

#include "console/json.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace txstream::console {
namespace {

using namespace std::chrono_literals;

class CacheTest : public ::testing::Test {
protected:
    void run(std::function<Task<>(Cache&)> body, Cache::Limits limits = Cache::Limits{}) {
        Cache cache(loop.get_executor(), limits);
        runtime::TaskGroup tasks(loop.get_executor());
        const auto all = [&]() -> Task<> {
            co_await body(cache);
            co_await cache.stop();
        };
        tasks.spawn(all());
        loop.run();
    }
    /// An answer that says how often it was made.
    Cache::Make counted(int status = 200) {
        return [this, status]() -> Task<http::Response> {
            ++made;
            co_return http::Response(status, "text/plain", std::to_string(made));
        };
    }
    asio::io_context loop;
    int made = 0;
};

TEST_F(CacheTest, AnAnswerIsMadeOnceForAllWhoAskAtTheSameTime) {
    asio::steady_timer gate(loop, asio::steady_timer::time_point::max());
    run([&](Cache& cache) -> Task<> {
        runtime::TaskGroup callers(loop.get_executor());
        int answered = 0;
        const auto ask = [&]() -> Task<> {
            const auto answer = co_await cache.answer("k", 0ms, [&]() -> Task<http::Response> {
                ++made;
                co_await gate.async_wait(asio::as_tuple(asio::use_awaitable));
                co_return http::json(200, "{}");
            });
            EXPECT_EQ(answer.body, "{}");
            ++answered;
        };
        for (int i = 0; i < 10; ++i) callers.spawn(ask());
        const auto open = [&]() -> Task<> {
            gate.cancel();
            co_return;
        };
        callers.spawn(open());
        (void)co_await callers.join();
        EXPECT_EQ(answered, 10);
        EXPECT_EQ(made, 1);
    });
}

TEST_F(CacheTest, AnAnswerIsKeptForItsTimeAndNoLonger) {
    run([&](Cache& cache) -> Task<> {
        EXPECT_EQ((co_await cache.answer("k", 1h, counted())).body, "1");
        EXPECT_EQ((co_await cache.answer("k", 1h, counted())).body, "1");
        EXPECT_EQ((co_await cache.answer("other", 0ms, counted())).body, "2");
        EXPECT_EQ((co_await cache.answer("other", 0ms, counted())).body, "3");
    });
}

TEST_F(CacheTest, WhatTakesTooMuchRoomIsDroppedAndMadeAgain) {
    run(
        [&](Cache& cache) -> Task<> {
            const auto large = [&]() -> Task<http::Response> {
                ++made;
                co_return http::Response(200, "text/plain", std::string(600, 'x'));
            };
            for (const auto* key : {"a", "b", "c"}) {
                const auto answer = co_await cache.answer(key, 1h, large);
                EXPECT_EQ(answer.body.size(), 600U);
                EXPECT_LE(cache.bytes(), 1000U);
            }
            (void)co_await cache.answer("c", 1h, large);
            EXPECT_EQ(made, 3);
            (void)co_await cache.answer("a", 1h, large);
            EXPECT_EQ(made, 4);
        },
        {.bytes_max = 1000}
    );
}

TEST_F(CacheTest, AnExceptionIsAnAnswerOf500ForAllWhoWait) {
    run([&](Cache& cache) -> Task<> {
        const auto answer = co_await cache.answer("k", 1h, []() -> Task<http::Response> {
            throw std::runtime_error("broken");
            co_return http::Response();
        });
        EXPECT_EQ(answer.status, 500);
        EXPECT_NE(answer.failure.find("broken"), std::string::npos);
    });
}

TEST_F(CacheTest, MoreThanMayBeMadeAtOnceIsRefused) {
    asio::steady_timer gate(loop, asio::steady_timer::time_point::max());
    run(
        [&](Cache& cache) -> Task<> {
            runtime::TaskGroup callers(loop.get_executor());
            const auto slow = [&]() -> Task<> {
                (void)co_await cache.answer("slow", 0ms, [&]() -> Task<http::Response> {
                    co_await gate.async_wait(asio::as_tuple(asio::use_awaitable));
                    co_return http::Response();
                });
            };
            callers.spawn(slow());
            const auto refused = [&]() -> Task<> {
                EXPECT_EQ((co_await cache.answer("more", 0ms, counted())).status, 503);
                gate.cancel();
            };
            callers.spawn(refused());
            (void)co_await callers.join();
        },
        {.making_max = 1}
    );
}

}  // namespace
}  // namespace txstream::console
