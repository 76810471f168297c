#include "dev/supervisor.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace txstream::dev {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr timespec kLook{0, 20'000'000};
constexpr timespec kIdle{1, 0};  // SIGCHLD ends the wait

struct Stage {
    int signal;
    std::chrono::seconds patience;
};
// To PostgreSQL: the fast shutdown, the immediate one, and none at all.
constexpr std::array<Stage, 3> kStages{
    {{SIGINT, std::chrono::seconds(20)},
     {SIGQUIT, std::chrono::seconds(5)},
     {SIGKILL, std::chrono::seconds(5)}}
};

/// The second field behind the name in /proc/PID/stat. (/proc/PID/task/…/children would be one
/// look, but not every kernel has it.)
pid_t parent_of(const fs::path& process) {
    std::ifstream file(process / "stat");
    std::string line;
    std::getline(file, line);
    const auto name_end = line.rfind(')');
    if (name_end == std::string::npos || name_end + 4 >= line.size()) return 0;
    pid_t parent = 0;
    std::from_chars(line.data() + name_end + 4, line.data() + line.size(), parent);
    return parent;
}

std::vector<pid_t> children() {
    std::vector<pid_t> found;
    std::error_code error;
    for (fs::directory_iterator at("/proc", error), end; at != end; at.increment(error)) {
        const auto name = at->path().filename().string();
        pid_t pid = 0;
        const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (parsed.ec == std::errc() && parent_of(at->path()) == getpid()) found.push_back(pid);
    }
    return found;
}

bool is_stop(int signal) {
    return signal == SIGINT || signal == SIGTERM || signal == SIGHUP;
}

/// Whatever the child started is ours now. One signal to each process and stage: a server that is
/// told again and again may not get on with stopping. Who loses patience skips a stage.
void end_the_rest(const sigset_t& watched) {
    for (const auto& stage : kStages) {
        std::set<pid_t> told;
        const auto deadline = Clock::now() + stage.patience;
        while (Clock::now() < deadline) {
            while (waitpid(-1, nullptr, WNOHANG) > 0) {
            }
            const auto left = children();
            if (left.empty()) return;
            for (const pid_t pid : left) {
                if (told.insert(pid).second) kill(pid, stage.signal);
            }
            if (is_stop(sigtimedwait(&watched, nullptr, &kLook))) break;
        }
    }
}

}  // namespace

Supervisor::Supervisor() {
    sigemptyset(&watched_);
    for (const int signal : {SIGINT, SIGTERM, SIGCHLD}) sigaddset(&watched_, signal);
    // Under nohup it stays ignored; blocking it would undo that.
    struct sigaction hangup{};
    sigaction(SIGHUP, nullptr, &hangup);
    if (hangup.sa_handler != SIG_IGN) sigaddset(&watched_, SIGHUP);
    sigprocmask(SIG_BLOCK, &watched_, &before_);
}

Supervisor::~Supervisor() {
    sigprocmask(SIG_SETMASK, &before_, nullptr);
}

int Supervisor::run(const std::function<int()>& work) const {
    // What the child starts and does not end becomes ours instead of init's.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    std::fflush(nullptr);
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child < 0) {
        std::perror("txstream: fork");
        return EXIT_FAILURE;
    }
    if (child == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent) std::_Exit(EXIT_FAILURE);  // killed before we asked to be told
        sigprocmask(SIG_SETMASK, &before_, nullptr);
        std::exit(work());
    }
    int status = 0;
    int stops = 0;
    while (true) {
        const pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended == child || (ended < 0 && errno != EINTR)) break;
        const int signal = sigtimedwait(&watched_, nullptr, &kIdle);
        if (!is_stop(signal)) continue;
        ++stops;
        kill(child, signal == SIGHUP ? SIGTERM : signal);
    }
    end_the_rest(watched_);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    const int signal = WTERMSIG(status);
    return stops == 1 && is_stop(signal) ? EXIT_SUCCESS : 128 + signal;
}

}  // namespace txstream::dev
