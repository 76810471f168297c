#pragma once

#include "http/problem.hpp"
#include "http/server.hpp"
#include "runtime/task_group.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <sys/time.h>
#include <thread>
#include <vector>

namespace txstream::http::test {

using asio::ip::tcp;
using namespace std::chrono_literals;

struct Reply {
    int status = 0;
    std::string head;
    std::string body;

    bool has(std::string_view line) const { return head.find(line) != std::string::npos; }
    bool closes() const { return has("Connection: close\r\n"); }
};

inline Response text(int status, std::string body) {
    return Response(status, "text/plain; charset=utf-8", std::move(body));
}

/// A blocking client; gives up after five seconds instead of hanging the test.
class Client {
public:
    explicit Client(std::uint16_t port) : socket_(loop_) {
        socket_.connect({asio::ip::address_v4::loopback(), port});
        const timeval patience{5, 0};
        EXPECT_EQ(
            setsockopt(
                socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience
            ),
            0
        );
    }

    void send(std::string_view bytes) {
        boost::system::error_code ignored;  // the server may have closed: read() will tell
        asio::write(socket_, asio::buffer(bytes), ignored);
    }
    /// The server may have closed the connection before.
    void half_close() {
        boost::system::error_code closed_before;
        socket_.shutdown(tcp::socket::shutdown_send, closed_before);
    }
    void small_window() { socket_.set_option(asio::socket_base::receive_buffer_size(4096)); }

    /// Status 0 when the server closed instead.
    Reply read(bool with_body = true) {
        Reply reply;
        while (input_.find("\r\n\r\n") == std::string::npos) {
            if (!more()) return reply;
        }
        const auto end = input_.find("\r\n\r\n") + 4;
        reply.head = input_.substr(0, end);
        input_.erase(0, end);
        std::from_chars(reply.head.data() + 9, reply.head.data() + 12, reply.status);
        if (with_body && reply.has("Transfer-Encoding: chunked\r\n")) {
            for (auto piece = chunk(); !piece.empty(); piece = chunk()) reply.body += piece;
            return reply;
        }
        const auto at = reply.head.find("Content-Length: ");
        if (!with_body || at == std::string::npos) return reply;
        std::size_t length = 0;
        std::from_chars(reply.head.data() + at + 16, reply.head.data() + reply.head.size(), length);
        while (input_.size() < length && more()) {
        }
        reply.body = input_.substr(0, length);
        input_.erase(0, length);
        return reply;
    }
    /// The next chunk of a body; empty for the last, and when the server closed.
    std::string chunk() {
        while (input_.find("\r\n") == std::string::npos) {
            if (!more()) return {};
        }
        std::size_t size = 0;
        std::from_chars(input_.data(), input_.data() + input_.size(), size, 16);
        input_.erase(0, input_.find("\r\n") + 2);
        while (input_.size() < size + 2) {
            if (!more()) return {};
        }
        auto piece = input_.substr(0, size);
        input_.erase(0, size + 2);
        return piece;
    }
    /// Everything until the server closes.
    std::string rest() {
        while (more()) {
        }
        return std::exchange(input_, {});
    }
    Reply ask(std::string_view request) {
        send(request);
        return read();
    }
    /// True when nothing more comes.
    bool is_closed() { return input_.empty() && !more(); }

private:
    bool more() {
        std::array<char, 4096> bytes{};
        // Not Asio's: that waits on when the time-out of the socket is over.
        const auto size = ::recv(socket_.native_handle(), bytes.data(), bytes.size(), 0);
        EXPECT_FALSE(size < 0 && errno == EAGAIN) << "no answer within five seconds";
        if (size <= 0) return false;
        input_.append(bytes.data(), static_cast<std::size_t>(size));
        return true;
    }

    asio::io_context loop_;
    tcp::socket socket_;
    std::string input_;
};

struct Seen {
    std::string route, id, failure;
    int status;
    std::chrono::nanoseconds duration;
    std::string traceparent, tracestate;
    telemetry::SpanId parent;
    std::string path;
    bool is_stream;
};

/// What the server counted.
struct Counts {
    int accepted = 0, connections = 0, requests = 0, refused = 0, timed_out = 0, buffered = 0,
        broken_off = 0, streams = 0, streams_refused = 0, tokens_refused = 0, handshakes_failed = 0,
        troubles = 0;
};

/// A server on its own thread, with routes that show what arrived.
class ServerTest : public testing::Test {
protected:
    ServerTest() : gate_(loop_, asio::steady_timer::time_point::max()) {
        limits_.body_bytes_max = 1024;
        limits_.header_bytes_max = 512;
        router_.add(Method::get, "/hello", [](Request) -> Task<Response> {
            co_return json(200, "{\"hello\":true}");
        });
        router_.add(Method::post, "/echo", [](Request request) -> Task<Response> {
            co_return text(201, std::move(request.body));
        });
        router_.add(Method::get, "/items/{id}", [](Request request) -> Task<Response> {
            std::string out(request.param("id"));
            for (const char* name : {"limit", "Limit", "q"}) {
                out.append("|").append(request.query(name).value_or("-"));
            }
            co_return text(200, out).with("Location", "/items/" + std::string(request.param("id")));
        });
        router_.add(Method::get, "/throws", [](Request) -> Task<Response> {
            throw std::runtime_error("secret");
            co_return Response();
        });
        router_.add(Method::get, "/broken", [](Request) -> Task<Response> {
            co_return problem(Error(Code::corrupt, "secret"));
        });
        router_.add(Method::get, "/big", [](Request) -> Task<Response> {
            co_return text(200, std::string(32 * 1024 * 1024, 'x'));
        });
        router_.add(Method::get, "/gate", [this](Request) -> Task<Response> {
            entered_.set_value();
            boost::system::error_code opened;
            co_await gate_.async_wait(asio::redirect_error(asio::use_awaitable, opened));
            co_return text(200, "through");
        });
    }

    ~ServerTest() override { shut_down(); }

    /// Called first by the destructor of a fixture whose handlers use its members.
    void shut_down() {
        if (!thread_.joinable()) return;
        stop(5s).get();
        on_loop([this] { work_.reset(); });
        thread_.join();
    }

    std::uint16_t start() {
        Observer observer;
        observer.request = [this](const RequestLog& log) {
            const std::lock_guard lock(mutex_);
            seen_.push_back(
                {std::string(log.route),
                 std::string(log.request_id),
                 std::string(log.failure),
                 log.status,
                 log.duration,
                 log.trace ? log.trace->context.traceparent() : "",
                 log.trace ? log.trace->state : "",
                 log.parent,
                 std::string(log.path),
                 log.is_stream}
            );
            told_.notify_all();
        };
        observer.counted = [this](Counted what, int change) {
            const std::lock_guard lock(mutex_);
            if (what == Counted::connections && change > 0) ++counts_.accepted;
            int Counts::* const counts[] = {
                &Counts::connections,
                &Counts::requests,
                &Counts::refused,
                &Counts::timed_out,
                &Counts::buffered,
                &Counts::broken_off,
                &Counts::streams,
                &Counts::streams_refused,
                &Counts::tokens_refused,
                &Counts::handshakes_failed
            };
            counts_.*counts[static_cast<std::size_t>(what)] += change;
        };
        observer.trouble = [this](std::string_view) {
            const std::lock_guard lock(mutex_);
            ++counts_.troubles;
        };
        observer.tracer = tracer_;
        server_.emplace(loop_.get_executor(), router_, limits_, std::move(observer), options_);
        port_ = server_->listen("127.0.0.1", 0).value();
        thread_ = std::thread([this] { loop_.run(); });
        return port_;
    }

    /// Runs a step on the server's thread and waits for it.
    template <class Step>
    void on_loop(Step step) {
        std::promise<void> done;
        asio::post(loop_, [&] {
            step();
            done.set_value();
        });
        done.get_future().get();
    }

    /// Returns once stop() has begun.
    std::future<void> stop(std::chrono::milliseconds patience) {
        auto done = std::make_shared<std::promise<void>>();
        on_loop([&, done] { stops_.spawn(stops(Deadline::in(patience), done)); });
        on_loop([] {});
        return done->get_future();
    }

    Task<> stops(Deadline deadline, std::shared_ptr<std::promise<void>> done) {
        co_await server_->stop(deadline);
        done->set_value();
    }

    /// What the observer was told of the first `count` requests; it is told after the answer left.
    std::vector<Seen> seen(std::size_t count) {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(told_.wait_for(lock, 20s, [&] { return seen_.size() >= count; }));
        return seen_;
    }

    Counts counts() {
        const std::lock_guard lock(mutex_);
        return counts_;
    }

    asio::io_context loop_;
    std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_{
        loop_.get_executor()
    };
    asio::steady_timer gate_;
    std::promise<void> entered_;
    Limits limits_;
    Options options_;
    const telemetry::Tracer* tracer_ = nullptr;
    Router router_;
    std::optional<Server> server_;
    runtime::TaskGroup stops_{loop_.get_executor()};
    std::uint16_t port_ = 0;
    std::thread thread_;
    std::mutex mutex_;
    std::condition_variable told_;
    std::vector<Seen> seen_;  // guarded by mutex_
    Counts counts_;           // guarded by mutex_
};

inline constexpr std::string_view kHello = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n";

inline std::string post(std::string_view body, std::string_view more = "") {
    return "POST /echo HTTP/1.1\r\nHost: x\r\n" + std::string(more) +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

}  // namespace txstream::http::test
