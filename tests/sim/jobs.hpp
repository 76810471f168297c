#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

/// Tasks that are shared out among processes: a simulated world has one thread, and a crash of one
/// must not take the others along.
namespace txstream::sim {

inline constexpr unsigned kJobsMax = 64;

/// Zeros, in memory that this process shares with those that it forks.
std::shared_ptr<void> shared_memory(std::size_t bytes);
template <class T>
std::shared_ptr<T[]> shared_array(std::size_t count) {
    static_assert(std::is_trivially_copyable_v<T>);
    auto memory = shared_memory(count * sizeof(T));
    return {memory, static_cast<T*>(memory.get())};
}

struct Failure {
    std::uint64_t task;
    std::string how;  ///< its process ended; empty: the task said that it failed
};

/// Runs task(0) to task(count - 1) in so many processes, each always the next one that no other has
/// begun, until one fails. Returns the first that does: all before it have been run. Ends the
/// program when no process can be made.
std::optional<Failure> share_out(
    std::uint64_t count, unsigned processes, const std::function<bool(std::uint64_t)>& task
);

}  // namespace txstream::sim
