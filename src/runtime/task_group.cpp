#include "runtime/task_group.hpp"

#include "base/assert.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace txstream::runtime {

struct TaskGroup::Child {
    /// Of the loop, too, which may still hold an emission when the child has ended.
    std::shared_ptr<asio::cancellation_signal> signal =
        std::make_shared<asio::cancellation_signal>();
};

TaskGroup::TaskGroup(asio::any_io_executor executor, OnException on_exception)
    : executor_(std::move(executor)),
      on_exception_(std::move(on_exception)),
      empty_(executor_, Timer::time_point::max()) {
}

TaskGroup::~TaskGroup() {
    TXS_ASSERT(running_ == 0, "a task group is joined before it is destroyed");
    TXS_ASSERT(joining_ == 0, "a task group outlives those who join it");
}

void TaskGroup::spawn(Task<> task) {
    start(std::move(task));
}

void TaskGroup::spawn(Task<Result<>> task) {
    start(std::move(task));
}

template <class Value>
void TaskGroup::start(Task<Value> task) {
    const auto child = children_.emplace(children_.end());
    ++running_;
    const auto slot = child->signal->slot();
    if constexpr (std::is_void_v<Value>) {
        asio::co_spawn(
            executor_,
            std::move(task),
            asio::bind_cancellation_slot(
                slot, [this, child](std::exception_ptr thrown) { ended(child, std::move(thrown)); }
            )
        );
    } else {
        auto report = [this, child](std::exception_ptr thrown, Value result) {
            if (!thrown && !result) failed(std::move(result).error());
            ended(child, std::move(thrown));
        };
        asio::co_spawn(
            executor_, std::move(task), asio::bind_cancellation_slot(slot, std::move(report))
        );
    }
    if (cancelled_) cancel(*child);
}

void TaskGroup::cancel() {
    cancelled_ = true;
    for (const auto& child : children_) cancel(child);
}

// From the loop, and so after the first step of a child that was spawned a moment ago: since
// Boost 1.82 a coroutine that was cancelled before its first step throws out of the loop when it
// ends (co_spawn's own end waits, which is refused to whoever is cancelled).
void TaskGroup::cancel(const Child& child) {
    asio::post(executor_, [signal = child.signal] {
        signal->emit(asio::cancellation_type::terminal);
    });
}

Task<Result<>> TaskGroup::join() {
    // What the waiting task was told must not leave children without an owner.
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    co_await asio::this_coro::throw_if_cancelled(false);
    ++joining_;
    while (running_ > 0) {
        co_await empty_.async_wait(asio::bind_cancellation_slot(
            asio::cancellation_slot(), asio::as_tuple(asio::use_awaitable)
        ));
    }
    --joining_;
    co_await asio::this_coro::throw_if_cancelled(throws);
    if (first_error_) co_return tl::unexpected<Error>(*first_error_);
    co_return Result<>();
}

void TaskGroup::ended(std::list<Child>::iterator child, std::exception_ptr thrown) {
    children_.erase(child);
    if (thrown) threw(thrown);
    if (--running_ == 0) empty_.cancel();
}

void TaskGroup::threw(const std::exception_ptr& thrown) {
    const auto report = [this](const char* what) {
        if (!on_exception_) {
            assertion_failed("no exception leaves a task", what, __FILE__, __LINE__);
        }
        on_exception_(what);
    };
    try {
        std::rethrow_exception(thrown);
    } catch (const boost::system::system_error& error) {
        // How a cancelled task ends.
        if (error.code() != asio::error::operation_aborted) report(error.what());
    } catch (const std::exception& error) {
        report(error.what());
    } catch (...) {
        report("something that is no std::exception");
    }
}

void TaskGroup::failed(Error error) {
    if (error.code() == Code::cancelled) return;
    if (!first_error_) first_error_ = std::move(error);
    cancel();
}

}  // namespace txstream::runtime
