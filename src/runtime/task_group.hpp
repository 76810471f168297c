#pragma once

#include "runtime/task.hpp"
#include "runtime/timer.hpp"

#include <cstddef>
#include <exception>
#include <functional>
#include <list>
#include <optional>
#include <string_view>

namespace txstream::runtime {

/// Owns tasks that run at the same time, so that none outlives what it uses: whoever spawns, joins.
/// The only place in the product that calls co_spawn.
///
/// Belongs to the thread of its executor, which must be a single one (or a strand). A child that
/// ends with an error other than `cancelled` makes the group cancel the others; join() reports the
/// first. The destructor asserts that no child is left.
///
/// A cancelled task sees it at its next co_await: the operation fails with operation_aborted, and
/// Asio throws the same from every later co_await. That exception ends a child silently. A task
/// that must wait after it was cancelled (to join its own children, say) first does
/// `co_await asio::this_coro::throw_if_cancelled(false)`.
class TaskGroup {
public:
    /// Receives what() of an exception that left a child.
    using OnException = std::function<void(std::string_view)>;

    /// Without `on_exception`, an exception that leaves a child ends the process: exceptions are
    /// not part of our interfaces. With it, the others go on.
    explicit TaskGroup(asio::any_io_executor executor, OnException on_exception = {});
    ~TaskGroup();
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;

    /// Starts a child; after cancel() it starts cancelled. The first step of the child runs from
    /// the event loop, never inside spawn().
    void spawn(Task<> task);
    void spawn(Task<Result<>> task);
    /// Asks every child to end, from the event loop; does not wait.
    void cancel();
    /// Returns when no child is left, with the first error if there was one. Not cancelled itself
    /// by the cancellation of the one who waits.
    Task<Result<>> join();

    std::size_t size() const noexcept { return running_; }
    bool cancelled() const noexcept { return cancelled_; }
    const asio::any_io_executor& executor() const noexcept { return executor_; }

private:
    struct Child;

    template <class Value>
    void start(Task<Value> task);
    void cancel(const Child& child);
    void ended(std::list<Child>::iterator child, std::exception_ptr thrown);
    void threw(const std::exception_ptr& thrown);
    void failed(Error error);

    asio::any_io_executor executor_;
    OnException on_exception_;
    std::list<Child> children_;
    Timer empty_;  ///< never expires; cancelled when the last child ends
    std::optional<Error> first_error_;
    std::size_t running_ = 0;
    std::size_t joining_ = 0;
    bool cancelled_ = false;
};

}  // namespace txstream::runtime
