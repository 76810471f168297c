#pragma once

#include "runtime/deadline.hpp"
#include "runtime/task.hpp"
#include "runtime/timer.hpp"
#include "runtime/virtual_time.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// A whole world on one thread, in virtual time, from a seed: relays, their PostgreSQL, their Kafka
/// and the people around them. A seed gives one schedule, always the same.
namespace txstream::sim {

using namespace std::chrono_literals;
using Clock = runtime::Clock;

/// SplitMix64: the same numbers on every machine and with every library.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ULL + 1) {}

    std::uint64_t next() {
        auto z = (state_ += 0x9E3779B97F4A7C15ULL);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31);
    }
    /// In [0, below).
    std::int64_t roll(std::int64_t below) {
        return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(below));
    }
    bool chance(double probability) {
        return static_cast<double>(next() >> 11) * 0x1.0p-53 < probability;
    }
    Clock::duration upto(Clock::duration most) { return between(0ms, most); }
    Clock::duration between(Clock::duration least, Clock::duration most) {
        return least + Clock::duration(roll((most - least).count() + 1));
    }

private:
    std::uint64_t state_;
};

/// Something with an event loop of its own that can stand still or die: a relay's process, or
/// (never doing either) the world outside.
class Process {
public:
    enum class State : std::uint8_t { running, paused, dead };

    explicit Process(std::string with_name) : name(std::move(with_name)) {}
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    bool is_dead() const noexcept { return state == State::dead; }
    asio::any_io_executor executor() { return loop.get_executor(); }

    std::string name;
    State state = State::running;
    Clock::time_point woke_at{};  ///< the last time that it stood still
    asio::io_context loop{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE};

private:
    asio::executor_work_guard<asio::io_context::executor_type> work_{loop.get_executor()};
};

class Simulation {
public:
    struct Options {
        std::uint64_t seed = 1;
        bool keeps_schedule = false;  ///< costs several times the run itself
    };
    explicit Simulation(Options options);

    // --- time

    Clock::time_point now() const { return time_.now(); }
    /// Runs `what` at a time; nothing can stop it but that itself looks.
    void at(Clock::time_point when, std::function<void()> what);
    void after(Clock::duration pause, std::function<void()> what) {
        at(now() + pause, std::move(what));
    }

    // --- processes

    Process& start(std::string name);
    /// Takes one step: handlers of some processes, or the time to the next thing that waits. False:
    /// nothing will ever happen again.
    bool step();
    /// Steps until the condition holds; false when it does not by then.
    template <class Condition>
    bool until(Clock::duration limit, Condition condition) {
        const auto end = now() + limit;
        while (!condition()) {
            if (now() > end || !step()) return condition();
        }
        return true;
    }
    const std::vector<std::unique_ptr<Process>>& processes() const { return processes_; }
    /// Called after each handler of a process.
    std::function<void(Process&)> after_handler;

    // --- what is told

    template <class... Args>
    void note(fmt::format_string<Args...> text, Args&&... args) {
        fingerprint_ =
            (fingerprint_ ^ static_cast<std::uint64_t>(now().time_since_epoch().count()) ^
             static_cast<fmt::string_view>(text).size()) *
            0x100000001B3ULL;
        if (keeps_schedule_) keep(fmt::format(text, std::forward<Args>(args)...));
    }
    /// A promise is broken.
    template <class... Args>
    void violated(fmt::format_string<Args...> text, Args&&... args) {
        report(fmt::format(text, std::forward<Args>(args)...));
    }
    const std::vector<std::string>& violations() const noexcept { return violations_; }
    const std::vector<std::string>& schedule() const noexcept { return schedule_; }
    /// Of everything that was noted: equal for equal schedules.
    std::uint64_t fingerprint() const noexcept { return fingerprint_; }
    std::uint64_t handlers() const noexcept { return handlers_; }

    Random random;

private:
    void keep(std::string line);
    void report(std::string line);
    std::string stamp() const;

    runtime::VirtualTime time_;
    Clock::time_point begin_;
    bool keeps_schedule_;
    std::vector<std::unique_ptr<Process>> processes_;
    std::uint64_t fingerprint_ = 0xCBF29CE484222325ULL;
    std::uint64_t handlers_ = 0;
    std::uint64_t handlers_before_ = 0;  ///< this instant
    std::vector<std::string> schedule_;
    std::vector<std::string> violations_;
};

/// Waits in virtual time.
inline Task<> wait(asio::any_io_executor executor, Clock::duration duration) {
    runtime::Timer timer(executor, Clock::now() + duration);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
}

}  // namespace txstream::sim
