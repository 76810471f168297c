#include "app/service_manager.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <system_error>
#include <utility>

namespace txstream::app {

namespace {

// A time that would be missed whatever we do.
constexpr std::chrono::milliseconds kIntervalMin{10};
constexpr std::int64_t kWatchdogUsecMax = 86'400'000'000;

std::string variable(const char* name) {
    // The environment is not changed after the start.
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe)
    return value == nullptr ? std::string() : std::string(value);
}

/// Nothing: no positive number.
std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t value = 0;
    const auto* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || stop != end || value <= 0) return std::nullopt;
    return value;
}

// The watchdog of a parent is none of ours.
std::optional<Deadline::Clock::duration> half_of_watchdog(
    const ServiceManager::Environment& environment, pid_t self
) {
    const auto usec = number(environment.watchdog_usec);
    if (!usec) return std::nullopt;
    if (!environment.watchdog_pid.empty() && number(environment.watchdog_pid) != self)
        return std::nullopt;
    return std::max<Deadline::Clock::duration>(
        std::chrono::microseconds(std::min(*usec, kWatchdogUsecMax)) / 2, kIntervalMin
    );
}

}  // namespace

ServiceManager::Environment ServiceManager::environment() {
    return {variable("NOTIFY_SOCKET"), variable("WATCHDOG_USEC"), variable("WATCHDOG_PID")};
}

ServiceManager::ServiceManager(const Environment& environment, pid_t self) {
    if (environment.notify_socket.empty()) return;
    usable_ = open(environment.notify_socket);
    if (is_there()) watchdog_ = half_of_watchdog(environment, self);
}

ServiceManager::~ServiceManager() {
    if (socket_ >= 0) ::close(socket_);
}

// A path, or with an @ in front a name in the kernel's abstract name space.
Result<> ServiceManager::open(std::string name) {
    const auto fail = [](const char* step) {
        return tl::unexpected(Error(
            Code::unavailable,
            fmt::format("NOTIFY_SOCKET: {}: {}", step, std::generic_category().message(errno))
        ));
    };
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if ((name.front() != '/' && name.front() != '@') || name.size() >= sizeof address.sun_path)
        return tl::unexpected(Error(
            Code::invalid_input,
            fmt::format("NOTIFY_SOCKET={}: it is neither a path nor an abstract name", name)
        ));
    if (name.front() == '@') name.front() = '\0';
    std::memcpy(address.sun_path, name.data(), name.size());
    // The length counts: an abstract name does not end with a zero.
    const auto size =
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (name[0] != 0));
    const int made = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0) return fail("cannot make a socket");
    if (::connect(made, reinterpret_cast<const sockaddr*>(&address), size) != 0) {
        auto failed = fail("cannot connect");
        ::close(made);
        return failed;
    }
    socket_ = made;
    return {};
}

ServiceManager::Clock::duration ServiceManager::interval() const {
    return watchdog_ ? std::min<Clock::duration>(*watchdog_, kInterval) : kInterval;
}

void ServiceManager::tell(std::string status, bool is_alive) {
    if (!is_there()) return;
    // It is one line of the protocol.
    std::ranges::replace(status, '\n', ' ');
    state_.status = std::move(status);
    std::string text;
    if (state_.is_ready && !told_.is_ready) text += "READY=1\n";
    if (state_.is_stopping && !told_.is_stopping) text += "STOPPING=1\n";
    if (state_.status != told_.status) text += fmt::format("STATUS={}\n", state_.status);
    if (is_alive && watchdog_) text += "WATCHDOG=1\n";
    if (text.empty()) return;
    if (::send(socket_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) told_ = state_;
}

std::string status_line(bool has_api, bool has_console, const std::optional<RelayHealth>& relay) {
    std::string line;
    const auto add = [&line](std::string_view part) {
        if (!line.empty()) line += "; ";
        line += part;
    };
    if (relay && !relay->blocked.empty()) {
        std::string reasons;
        for (const auto& one : relay->blocked)
            reasons += (reasons.empty() ? "" : ", ") + std::string(to_string(one.blockage));
        add(fmt::format("held up: {}", reasons));
    }
    if (relay && !relay->is_started) add("the relay waits for Kafka");
    if (relay && relay->is_started)
        add(fmt::format(
            "relay: {} lanes, {} of {} workers at work",
            relay->lanes,
            relay->workers_alive,
            relay->workers
        ));
    if (has_api) add("API");
    if (has_console) add("console");
    return line;
}

}  // namespace txstream::app
