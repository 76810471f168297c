#include "http/server.hpp"

#include "base/assert.hpp"
#include "http/detail/session.hpp"
#include "runtime/task_group.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <fcntl.h>
#include <list>
#include <unistd.h>
#include <utility>

namespace txstream::http {
namespace {

using asio::ip::tcp;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// How long accepting pauses when it fails for want of descriptors or memory.
constexpr std::chrono::milliseconds kAcceptPause{100};
// The shortest time between two reports that accepting fails.
constexpr std::chrono::seconds kReportPause{10};

/// Without a free descriptor, connections stay in the kernel's queue and their clients wait without
/// an answer. One spare descriptor is enough to accept and close them one by one.
class SpareDescriptor {
public:
    SpareDescriptor() { take(); }
    ~SpareDescriptor() { give(); }
    SpareDescriptor(const SpareDescriptor&) = delete;
    SpareDescriptor& operator=(const SpareDescriptor&) = delete;

    /// False if there was no connection, or another thread took the descriptor.
    bool refuse_one(tcp::acceptor& acceptor) {
        give();
        boost::system::error_code error;
        {
            tcp::socket refused(acceptor.get_executor());
            acceptor.accept(refused, error);
        }
        take();
        return !error;
    }

private:
    void take() { descriptor_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC); }
    void give() {
        if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
    }

    int descriptor_ = -1;
};

Error listen_error(const std::string& host, std::uint16_t port, boost::system::error_code error) {
    const std::string where = host + ":" + std::to_string(port);
    if (error == asio::error::address_in_use) {
        return Error(
            Code::conflict,
            "cannot listen on " + where + ": port " + std::to_string(port) +
                " is already in use; stop the program that has it, or choose another port",
            "EADDRINUSE"
        );
    }
    if (error == asio::error::access_denied) {
        return Error(
            Code::rejected,
            "cannot listen on " + where + ": ports below 1024 need privileges; choose a higher one",
            "EACCES"
        );
    }
    return Error(Code::invalid_input, "cannot listen on " + where + ": " + error.message());
}

}  // namespace

class Server::Impl {
public:
    Impl(
        asio::any_io_executor executor,
        const Router& router,
        Limits limits,
        Observer observer,
        Options options
    )
        : shared_(router, limits, std::move(observer), std::move(options)),
          acceptor_(executor),
          pause_(executor),
          look_(executor, Deadline::Clock::time_point::max()),
          drained_(executor, Deadline::Clock::time_point::max()),
          tasks_(executor, [this](std::string_view what) { trouble(what); }) {
        const auto& l = shared_.limits;
        const auto least = std::min(
            {l.handshake_timeout,
             l.read_timeout,
             l.write_timeout,
             l.idle_timeout,
             l.linger_timeout,
             l.drain_timeout}
        );
        tick_ = std::clamp<std::chrono::milliseconds>(
            least / 4, std::chrono::milliseconds(1), std::chrono::milliseconds(1000)
        );
    }

    ~Impl() { TXS_ASSERT(tasks_.size() == 0, "a server is stopped before it is destroyed"); }

    Result<std::uint16_t> listen(const std::string& host, std::uint16_t port);
    void drain() { shared_.closing = true; }
    Task<> stop(Deadline deadline);

private:
    using Sessions = std::list<detail::Session>;

    // A session for as long as its task lives, also if that is cancelled before its first step.
    class Seat {
    public:
        Seat(Impl& server, Sessions& sessions, tcp::socket socket)
            : server_(&server),
              sessions_(&sessions),
              session_(sessions.emplace(sessions.end(), std::move(socket), server.shared_)) {}
        Seat(Seat&& other) noexcept
            : server_(std::exchange(other.server_, nullptr)),
              sessions_(other.sessions_),
              session_(other.session_) {}
        Seat& operator=(Seat&&) = delete;
        ~Seat() {
            if (server_ != nullptr) server_->leave(*sessions_, session_);
        }
        detail::Session* operator->() const noexcept { return &*session_; }

    private:
        Impl* server_;
        Sessions* sessions_;
        Sessions::iterator session_;
    };

    Task<> accept();
    Task<> watch();
    void report(boost::system::error_code error);
    void admit(tcp::socket socket);
    void admit_pending();
    void leave(Sessions& sessions, Sessions::iterator session);
    bool is_empty() const noexcept { return served_.empty() && refused_.empty(); }
    void trouble(std::string_view what) const {
        if (shared_.observer.trouble) shared_.observer.trouble(what);
    }

    // Parameters live in the task's frame and so does the seat.
    static Task<> serve(Seat seat) { co_await seat->run(); }
    static Task<> refuse(Seat seat) { co_await seat->run_refused(); }

    detail::Shared shared_;
    tcp::acceptor acceptor_;
    SpareDescriptor spare_;
    Deadline::Clock::time_point reported_at_ = Deadline::Clock::time_point::min() + kReportPause;
    asio::steady_timer pause_;
    asio::steady_timer look_;     ///< never expires while there is no session to look at
    asio::steady_timer drained_;  ///< the sooner of the deadlines of stop(), or no session is left
    std::chrono::milliseconds tick_{};
    Sessions served_;   ///< connections_max at most
    Sessions refused_;  ///< they linger to read their answer, and hold no seat of the served
    bool listened_ = false;
    runtime::TaskGroup tasks_;
};

Result<std::uint16_t> Server::Impl::listen(const std::string& host, std::uint16_t port) {
    TXS_ASSERT(!listened_, "a server listens once");
    boost::system::error_code error;
    tcp::endpoint endpoint(asio::ip::make_address(host, error), port);
    if (error) {
        tcp::resolver resolver(acceptor_.get_executor());
        const auto found =
            resolver.resolve(host, std::to_string(port), tcp::resolver::passive, error);
        if (error || found.empty()) {
            return fail(
                Code::invalid_input, "cannot listen on " + host + ": no such host or address"
            );
        }
        // "localhost" may be both ::1 and 127.0.0.1; most clients try the latter.
        const auto v4 = std::find_if(found.begin(), found.end(), [](const auto& entry) {
            return entry.endpoint().address().is_v4();
        });
        endpoint = (v4 == found.end() ? found.begin() : v4)->endpoint();
    }
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (!error) acceptor_.non_blocking(true, error);
    if (error) {
        boost::system::error_code ignored;
        acceptor_.close(ignored);
        return tl::unexpected<Error>(listen_error(host, port, error));
    }
    listened_ = true;
    shared_.options.admission.listens_on(
        host, endpoint.address().is_loopback(), shared_.options.tls != nullptr
    );
    tasks_.spawn(accept());
    tasks_.spawn(watch());
    return acceptor_.local_endpoint(error).port();
}

Task<> Server::Impl::accept() {
    while (acceptor_.is_open()) {
        auto [error, socket] = co_await acceptor_.async_accept(kAwait);
        if (!error) {
            admit(std::move(socket));
        } else if (error == asio::error::operation_aborted) {
            co_return;
        } else if (error != asio::error::connection_aborted) {
            report(error);
            if (error == asio::error::no_descriptors && spare_.refuse_one(acceptor_)) {
                shared_.count(Counted::refused);
                continue;
            }
            pause_.expires_after(kAcceptPause);
            co_await pause_.async_wait(kAwait);
        }
    }
}

// The same failure may repeat for every connection that comes.
void Server::Impl::report(boost::system::error_code error) {
    const auto now = Deadline::Clock::now();
    if (now < reported_at_ + kReportPause) return;
    reported_at_ = now;
    trouble(
        "a connection could not be accepted: " + error.message() +
        (error == asio::error::no_descriptors
             ? "; connections are refused until descriptors are free (raise the limit, ulimit -n)"
             : "")
    );
}

void Server::Impl::admit(tcp::socket socket) {
    if (is_empty()) look_.cancel();
    const auto& limits = shared_.limits;
    if (served_.size() < limits.connections_max) {
        shared_.count(Counted::connections);
        tasks_.spawn(serve(Seat(*this, served_, std::move(socket))));
        return;
    }
    shared_.count(Counted::refused);
    if (refused_.size() < limits.refused_connections_max) {
        tasks_.spawn(refuse(Seat(*this, refused_, std::move(socket))));
    }
}

// Connections that the kernel has already accepted for us would be reset by closing the acceptor.
void Server::Impl::admit_pending() {
    boost::system::error_code error;
    while (!error) {
        tcp::socket socket(acceptor_.get_executor());
        acceptor_.accept(socket, error);
        if (!error) admit(std::move(socket));
    }
}

Task<> Server::Impl::watch() {
    for (;;) {
        look_.expires_after(is_empty() ? std::chrono::hours(24) : tick_);
        co_await look_.async_wait(kAwait);
        const auto now = Deadline::Clock::now();
        for (auto* const sessions : {&served_, &refused_})
            for (auto& session : *sessions) session.look_at(now);
    }
}

void Server::Impl::leave(Sessions& sessions, Sessions::iterator session) {
    sessions.erase(session);
    if (&sessions == &served_) shared_.count(Counted::connections, -1);
    if (is_empty()) drained_.cancel();
}

Task<> Server::Impl::stop(Deadline deadline) {
    if (acceptor_.is_open()) {
        shared_.closing = shared_.draining = true;
        admit_pending();
        boost::system::error_code ignored;
        acceptor_.close(ignored);
        pause_.cancel();
        for (auto* const sessions : {&served_, &refused_})
            for (auto& session : *sessions) session.drain();
    }
    if (deadline.at() < drained_.expiry()) drained_.expires_at(deadline.at());
    while (!is_empty() && Deadline::Clock::now() < drained_.expiry()) {
        co_await drained_.async_wait(kAwait);
    }
    shared_.cancelled = true;
    for (auto& session : served_) session.cancel();
    tasks_.cancel();
    // Our own tasks report no errors, so there is none to return.
    (void)co_await tasks_.join();
}

Server::Server(
    asio::any_io_executor executor,
    const Router& router,
    Limits limits,
    Observer observer,
    Options options
)
    : impl_(std::make_unique<Impl>(
          std::move(executor), router, limits, std::move(observer), std::move(options)
      )) {
}

Server::~Server() = default;

Result<std::uint16_t> Server::listen(const std::string& host, std::uint16_t port) {
    return impl_->listen(host, port);
}

void Server::drain() {
    impl_->drain();
}

Task<> Server::stop(Deadline deadline) {
    return impl_->stop(deadline);
}

}  // namespace txstream::http
