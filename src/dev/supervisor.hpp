#pragma once

#include <csignal>
#include <functional>

namespace txstream::dev {

/// Runs work in a child process, so that something can be cleaned up behind it however it ends: by
/// itself, by a signal at any moment, by a second one during its stop, by a crash.
///
/// From construction on SIGINT, SIGTERM and SIGHUP wait until run() can pass them on; what has to
/// be cleaned up is made after that. No other thread may run yet.
class Supervisor {
public:
    Supervisor();
    ~Supervisor();
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;

    /// Gives what `work` returned, once no process that came of it is left. Signals go to the child
    /// (SIGHUP as SIGTERM, which it knows how to stop by); what the child leaves running is ended.
    /// 0 when the first signal ended it, 128 and the signal's number when another did.
    ///
    /// The child has a process group of its own: Ctrl-C in the terminal comes once, from us. It is
    /// told to stop when we are killed.
    int run(const std::function<int()>& work) const;

private:
    sigset_t watched_{};
    sigset_t before_{};
};

}  // namespace txstream::dev
