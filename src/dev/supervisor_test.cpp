#include "dev/supervisor.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

namespace txstream::dev {
namespace {

/// Runs the work under a supervisor in a process of its own, as a program would, and gives its exit
/// code. The supervisor hears SIGTERM `signals` times before it begins to wait.
int supervised(const std::function<int()>& work, int signals = 0) {
    const pid_t program = fork();
    if (program == 0) {
        const Supervisor supervisor;
        for (int i = 0; i < signals; ++i) kill(getpid(), SIGTERM);
        std::_Exit(supervisor.run(work));
    }
    int status = 0;
    EXPECT_EQ(waitpid(program, &status, 0), program);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(SupervisorTest, GivesWhatTheWorkReturned) {
    EXPECT_EQ(supervised([] { return 0; }), 0);
    EXPECT_EQ(supervised([] { return 6; }), 6);
}

TEST(SupervisorTest, ASignalFromBeforeTheWorkBeganEndsIt) {
    const auto wait_for_ever = [] {
        while (true) pause();
        return 1;
    };
    EXPECT_EQ(supervised(wait_for_ever, 1), 0);
}

TEST(SupervisorTest, ACrashIsTold) {
    EXPECT_EQ(supervised([] { return raise(SIGKILL); }), 128 + SIGKILL);
}

TEST(SupervisorTest, NoProcessOfTheWorkIsLeft) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const auto leave_one_behind = [&] {
        if (fork() == 0) {
            while (true) pause();
        }
        return 0;
    };
    EXPECT_EQ(supervised(leave_one_behind), 0);
    close(ends[1]);
    // The end of the file comes when the last process that inherited the other end is gone.
    char byte = 0;
    EXPECT_EQ(read(ends[0], &byte, 1), 0);
    close(ends[0]);
}

}  // namespace
}  // namespace txstream::dev
