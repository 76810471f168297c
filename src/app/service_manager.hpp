#pragma once

#include "app/relay_app.hpp"
#include "base/error.hpp"
#include "runtime/deadline.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <sys/types.h>
#include <unistd.h>

namespace txstream::app {

/// Reports to the service manager that started us (systemd, `Type=notify`): ready, stopping, a
/// line of status, and alive, by the datagrams that sd_notify(3) documents. Without NOTIFY_SOCKET
/// it does nothing.
///
/// A datagram that the manager's socket has no room for is lost and no call waits for it; what it
/// said goes with the next one. Belongs to one thread.
class ServiceManager {
public:
    using Clock = Deadline::Clock;

    /// Of the process.
    struct Environment {
        std::string notify_socket;
        std::string watchdog_usec;
        std::string watchdog_pid;
    };
    static Environment environment();

    /// How often it is told, without a watchdog.
    static constexpr std::chrono::seconds kInterval{5};

    explicit ServiceManager(const Environment& environment, pid_t self = getpid());
    ~ServiceManager();
    ServiceManager(const ServiceManager&) = delete;
    ServiceManager& operator=(const ServiceManager&) = delete;

    /// Why it cannot be told anything, although it asked for it.
    const Result<>& usable() const { return usable_; }
    bool is_there() const { return socket_ >= 0; }
    /// How often to tell(): twice within the time of the watchdog, if there is one.
    Clock::duration interval() const;
    /// How late a loop may be that said when it would be back; nothing: there is no watchdog.
    std::optional<Clock::duration> patience() const { return watchdog_; }

    void ready() { state_.is_ready = true; }
    void stopping() { state_.is_stopping = true; }
    /// Sends what is new. `is_alive`: the watchdog is fed.
    void tell(std::string status, bool is_alive);

private:
    struct State {
        bool is_ready = false;
        bool is_stopping = false;
        std::string status{};
    };

    Result<> open(std::string name);

    int socket_ = -1;
    Result<> usable_;
    std::optional<Clock::duration> watchdog_;  ///< half its time
    State state_;
    State told_;
};

/// What `systemctl status` shows of the process: its roles, and what keeps events from being
/// delivered. Pure.
std::string status_line(bool has_api, bool has_console, const std::optional<RelayHealth>& relay);

}  // namespace txstream::app
