// Looking up names without making anybody wait who does not want to.
//
// getaddrinfo() returns when the name service answers or its own time-outs and retries are over,
// half a minute and more, and nothing ends it before. So each look-up has a thread of its own,
// which nobody joins: who no longer wants to wait leaves, and the thread ends when it can, or with
// the process. Who asks for a name that is being looked up joins that look-up: there are never more
// threads than names.
//
// Refused: Asio's resolver. Its operation ends when getaddrinfo() does, also when it is cancelled,
// and the event loop's run() and destructor wait for it: during an outage of the name service no
// relay worker would stop. Its one thread also would let a name that hangs hold up all others.

#include "pg/detail/name_lookup.hpp"

#include "runtime/wakeup.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <memory>
#include <mutex>
#include <netdb.h>
#include <optional>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <utility>

namespace txstream::pg::detail {
namespace {

using Addresses = Result<std::vector<std::string>>;

struct FreeAddresses {
    void operator()(addrinfo* list) const noexcept { freeaddrinfo(list); }
};
using AddressList = std::unique_ptr<addrinfo, FreeAddresses>;

Error not_found(const std::string& name, const std::string& why) {
    return Error(
        Code::unavailable,
        fmt::format(
            "cannot find the address of PostgreSQL's host {}: {}; correct the host name or the "
            "name service",
            name,
            why
        ),
        "EHOSTNAME"
    );
}

// Blocks.
Addresses ask(const std::string& name) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;  // or each address comes once for each type of socket
    addrinfo* first = nullptr;
    if (const int failed = getaddrinfo(name.c_str(), nullptr, &hints, &first); failed != 0) {
        const auto why = failed == EAI_SYSTEM ? std::generic_category().message(errno)
                                              : std::string(gai_strerror(failed));
        return tl::unexpected(not_found(name, why));
    }
    const AddressList list(first);
    std::vector<std::string> addresses;
    for (const auto* entry = list.get(); entry; entry = entry->ai_next) {
        std::array<char, NI_MAXHOST> text{};
        const int failed = getnameinfo(
            entry->ai_addr,
            entry->ai_addrlen,
            text.data(),
            static_cast<socklen_t>(text.size()),
            nullptr,
            0,
            NI_NUMERICHOST
        );
        if (failed == 0) addresses.emplace_back(text.data());
    }
    if (addresses.empty()) return tl::unexpected(not_found(name, "it has none"));
    return addresses;
}

struct Waiter {
    explicit Waiter(asio::any_io_executor of) : executor(std::move(of)), answered(executor) {}

    void take(Addresses given) {
        answer.emplace(std::move(given));
        answered.notify();
    }

    asio::any_io_executor executor;
    runtime::Wakeup answered;
    std::optional<Addresses> answer;
};

/// The look-ups of this process that are under way.
class LookUps {
public:
    void join(const std::string& name, const std::shared_ptr<Waiter>& waiter) {
        const std::scoped_lock lock(mutex_);
        const auto [look_up, is_new] = waiting_.try_emplace(name);
        look_up->second.push_back(waiter);
        if (!is_new) return;
        try {
            std::thread([this, name] { run(name); }).detach();
        } catch (const std::system_error& error) {
            waiting_.erase(look_up);
            waiter->take(tl::unexpected(not_found(name, error.what())));
        }
    }

    /// From here on nothing is posted to the waiter's event loop.
    void leave(const std::string& name, const std::shared_ptr<Waiter>& waiter) {
        const std::scoped_lock lock(mutex_);
        if (const auto look_up = waiting_.find(name); look_up != waiting_.end())
            std::erase(look_up->second, waiter);
    }

private:
    void run(const std::string& name) {
        const auto answer = ask(name);
        const std::scoped_lock lock(mutex_);
        auto look_up = waiting_.extract(name);
        for (auto& waiter : look_up.mapped()) {
            const auto executor = waiter->executor;
            // Moved: the waiter has a timer of its event loop, and must not end here, where that
            // loop may be gone before.
            asio::post(executor, [waiter = std::move(waiter), answer] { waiter->take(answer); });
        }
    }

    std::mutex mutex_;
    std::unordered_map<std::string, std::vector<std::shared_ptr<Waiter>>>
        waiting_;  // guarded by mutex_
};

LookUps& look_ups() {
    // Never destroyed: its threads may outlast main().
    static auto& all = *new LookUps;
    return all;
}

// However the one who waits ends, also by a destroyed coroutine, its event loop hears no more.
class Place {
public:
    Place(std::string name, std::shared_ptr<Waiter> waiter)
        : name_(std::move(name)), waiter_(std::move(waiter)) {
        look_ups().join(name_, waiter_);
    }
    ~Place() { look_ups().leave(name_, waiter_); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

private:
    std::string name_;
    std::shared_ptr<Waiter> waiter_;
};

}  // namespace

bool is_name(const std::string& host) {
    if (host.empty() || host.starts_with('/') || host.starts_with('@')) return false;
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST;  // asks nobody
    addrinfo* first = nullptr;
    if (getaddrinfo(host.c_str(), nullptr, &hints, &first) != 0) return true;
    const AddressList list(first);
    return false;
}

Task<Result<std::vector<std::string>>> look_up(
    asio::any_io_executor executor, std::string name, Deadline deadline
) {
    // Shared with the look-up's thread, which may be about to answer when we leave.
    const auto waiter = std::make_shared<Waiter>(std::move(executor));
    const Place place(name, waiter);
    co_await waiter->answered.wait(deadline.at());
    if (waiter->answer) co_return std::move(*waiter->answer);
    if (!deadline.passed()) co_return fail(Code::cancelled, "cancelled while looking up " + name);
    co_return tl::unexpected(not_found(name, "the name service did not answer in time"));
}

}  // namespace txstream::pg::detail
