#pragma once

#include "pg/connection.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace txstream::tests {

/// How long a test waits for what should take milliseconds.
inline constexpr std::chrono::seconds kPatience{60};

inline Deadline soon() {
    return Deadline::in(kPatience);
}

/// The value, or the test fails with the error's text.
template <class T>
T must(Result<T> result) {
    if (!result) {
        throw std::runtime_error(
            "failed: " + std::string(to_string(result.error().code())) + " [" +
            result.error().origin() + "] " + result.error().what()
        );
    }
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// Starts a coroutine beside the test, which keeps `io` running until `ended` was called. The test
/// owns what the coroutine uses, and waits for it.
template <class T, class Ended>
void start(asio::io_context& io, asio::awaitable<T> task, Ended ended) {
    asio::co_spawn(io, std::move(task), std::move(ended));
}

/// Runs the event loop until the coroutine that `function` returns has ended; gives its value or
/// throws its exception. ASSERT_… cannot be used inside a coroutine (it returns); use EXPECT_… and
/// must().
template <class Function>
auto run_until_done(asio::io_context& io, Function function) {
    using Value = typename std::invoke_result_t<Function&>::value_type;
    std::exception_ptr thrown;
    bool done = false;
    io.restart();
    const auto give_up_at = std::chrono::steady_clock::now() + 2 * kPatience;
    auto wait = [&] {
        while (!done) {
            if (std::chrono::steady_clock::now() > give_up_at) {
                throw std::runtime_error("the coroutine did not end");
            }
            io.run_one_for(std::chrono::seconds(1));
            if (io.stopped()) io.restart();
        }
        if (thrown) std::rethrow_exception(thrown);
    };
    if constexpr (std::is_void_v<Value>) {
        asio::co_spawn(io, function(), [&](std::exception_ptr error) {
            thrown = std::move(error);
            done = true;
        });
        wait();
    } else {
        std::optional<Value> value;
        asio::co_spawn(io, function(), [&](std::exception_ptr error, Value result) {
            thrown = std::move(error);
            if (!thrown) value.emplace(std::move(result));
            done = true;
        });
        wait();
        return std::move(*value);
    }
}

/// A database of its own for one test, dropped at its end, on the server that TXSTREAM_TEST_PG
/// names (a superuser's libpq connection string). Without the variable the test fails: a skipped
/// test looks like a passed one.
class TestDatabase {
public:
    TestDatabase() : server_(server_conninfo()), name_(unique_name()) {
        on_server("CREATE DATABASE " + name_);
        conninfo_ = server_ + " dbname=" + name_;
    }
    ~TestDatabase() {
        try {
            on_server("DROP DATABASE " + name_ + " WITH (FORCE)");
        } catch (const std::exception& error) {
            ADD_FAILURE() << "cannot drop the test's database: " << error.what();
        }
    }
    TestDatabase(const TestDatabase&) = delete;
    TestDatabase& operator=(const TestDatabase&) = delete;

    const std::string& conninfo() const { return conninfo_; }
    const std::string& name() const { return name_; }

    /// A test's own tables need no schema in its SQL; the product's do.
    std::unique_ptr<pg::Connection> connect(asio::io_context& io, std::string settings = {}) const {
        settings = kSearchPath + settings;
        return must(run_until_done(io, [&] {
            return pg::Connection::open(io.get_executor(), conninfo_, settings, soon());
        }));
    }
    /// Runs SQL in a session of its own.
    void script(const std::string& sql) const { on(conninfo_, sql); }
    void on_server(const std::string& sql) const { on(server_, sql); }

private:
    static inline const std::string kSearchPath = "SET search_path = public;";

    static void on(const std::string& conninfo, const std::string& sql) {
        asio::io_context io;
        auto session = must(run_until_done(io, [&] {
            return pg::Connection::open(io.get_executor(), conninfo, kSearchPath, soon());
        }));
        must(run_until_done(io, [&] { return session->run_script(sql, soon()); }));
    }

    static std::string server_conninfo() {
        const char* conninfo = std::getenv("TXSTREAM_TEST_PG");
        if (!conninfo || !*conninfo) {
            throw std::runtime_error(
                "TXSTREAM_TEST_PG is not set: run `make test`, or set it to a superuser's "
                "connection string "
                "(tools/services/postgres.sh conninfo)"
            );
        }
        return conninfo;
    }

    static std::string unique_name() {
        std::string name = "txs_";
        if (const auto* test = testing::UnitTest::GetInstance()->current_test_info()) {
            name.append(test->test_suite_name()).append("_").append(test->name());
        }
        std::ranges::transform(name, name.begin(), [](unsigned char c) {
            return static_cast<char>(std::isalnum(c) ? std::tolower(c) : '_');
        });
        name.resize(std::min<std::size_t>(name.size(), 50));  // 63 with the suffix
        return name + "_" + std::to_string(std::random_device{}());
    }

    std::string server_;
    std::string name_;
    std::string conninfo_;
};

}  // namespace txstream::tests
