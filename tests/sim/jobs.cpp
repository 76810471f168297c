#include "tests/sim/jobs.hpp"

#include "base/assert.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace txstream::sim {

namespace {

/// What the processes know of each other.
struct Board {
    std::atomic<std::uint64_t> next;
    std::atomic<std::uint64_t> first_bad;
    std::array<std::atomic<std::uint64_t>, kJobsMax> running;  ///< the task of each process
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "processes share no lock");

[[noreturn]] void give_up(const char* what) {
    std::perror(what);
    std::exit(2);
}

void failed(Board& board, std::uint64_t task) {
    auto first = board.first_bad.load();
    while (task < first && !board.first_bad.compare_exchange_weak(first, task)) {
    }
}

void work(
    Board& board,
    std::uint64_t count,
    unsigned number,
    const std::function<bool(std::uint64_t)>& task
) {
    while (true) {
        const auto next = board.next++;
        // Of those before one that failed another may, too.
        if (next >= count || next > board.first_bad) break;
        board.running[number] = next;
        if (!task(next)) failed(board, next);
    }
    board.running[number] = count;
}

std::string end_of(int status) {
    if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
    return "exit code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

std::shared_ptr<void> shared_memory(std::size_t bytes) {
    void* const memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) give_up("mmap");
    return {memory, [bytes](void* mapped) { (void)::munmap(mapped, bytes); }};
}

std::optional<Failure> share_out(
    std::uint64_t count, unsigned processes, const std::function<bool(std::uint64_t)>& task
) {
    processes = std::clamp(processes, 1U, kJobsMax);
    const auto memory = shared_memory(sizeof(Board));
    auto& board = *new (memory.get()) Board{};
    board.first_bad = count;
    // What is buffered would be written by each of them.
    (void)std::fflush(nullptr);
    std::vector<pid_t> children;
    for (unsigned number = 0; number < processes; ++number) {
        const auto child = ::fork();
        if (child < 0) give_up("fork");
        if (child > 0) {
            children.push_back(child);
            continue;
        }
        // Nobody needs them when this one is killed.
        (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
        work(board, count, number, task);
        std::exit(0);
    }
    std::vector<Failure> ended;
    for (unsigned number = 0; number < processes; ++number) {
        int status = 0;
        while (::waitpid(children[number], &status, 0) < 0 && errno == EINTR) {
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
        // After its last task: when it was taken down.
        const auto last = std::min(board.running[number].load(), count - 1);
        failed(board, last);
        ended.push_back({last, end_of(status)});
    }
    const auto first = board.first_bad.load();
    if (first == count) return std::nullopt;
    const auto how = std::ranges::find(ended, first, &Failure::task);
    return Failure{first, how == ended.end() ? std::string() : how->how};
}

}  // namespace txstream::sim
