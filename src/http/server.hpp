#pragma once

#include "base/error.hpp"
#include "http/options.hpp"
#include "http/router.hpp"
#include "runtime/deadline.hpp"
#include "runtime/task.hpp"
#include "telemetry/tracer.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace txstream::http {

struct Limits {
    std::size_t connections_max = 1024;        ///< one more is answered 503 and closed
    std::size_t refused_connections_max = 64;  ///< being told so; beyond it they are just closed
    std::size_t body_bytes_max = 1024 * 1024;  ///< 413
    /// Incomplete bodies and unread responses of all connections; beyond it the connection that has
    /// waited longest is closed. Each may hold 16 KiB in addition.
    std::size_t buffer_bytes_max = 64 * 1024 * 1024;
    std::size_t header_bytes_max = 16 * 1024;  ///< request line and headers together: 431
    std::size_t header_fields_max = 100;       ///< lines of them: 431
    std::size_t target_bytes_max = 8 * 1024;   ///< 414
    std::size_t handshakes_max = 100;          ///< of TLS, under way; one more connection is closed
    std::size_t streams_max = 20;              ///< bodies being streamed; one more is 429
    std::chrono::milliseconds handshake_timeout{10000};  ///< of TLS
    std::chrono::milliseconds read_timeout{15000};  ///< from a request's first byte to its last
    std::chrono::milliseconds write_timeout{15000
    };  ///< for a whole response, or 16 KiB of a stream
    std::chrono::milliseconds idle_timeout{60000};   ///< between requests
    std::chrono::milliseconds linger_timeout{2000};  ///< reading on after a refusal, so it arrives
    std::chrono::milliseconds drain_timeout{5000};   ///< for slow clients once stop() was called
    std::chrono::milliseconds handler_timeout{30000};  ///< the Deadline in each Request
};

/// What is known when a response has left. The texts live only during the call.
struct RequestLog {
    Method method;
    std::string_view route;  ///< the template, or "unmatched", or "malformed"
    std::string_view request_id;
    int status;
    /// From the request's first byte to the response's last. One that was sent before its
    /// predecessor was answered begins when its turn comes.
    std::chrono::nanoseconds duration;
    std::string_view failure;       ///< what the client was not told; usually empty
    const telemetry::Trace* trace;  ///< that it belongs to; may be none
    telemetry::SpanId parent;       ///< of its span, when there is a tracer; zero: none
    std::string_view path;          ///< as it was sent, cut off; only of a request that is sampled
    bool is_stream = false;         ///< the duration is how long the client listened
};

/// What a server counts as it happens.
enum class Counted : std::uint8_t {
    connections,        ///< being served: up, and down again
    requests,           ///< being answered: up, and down again
    refused,            ///< connections beyond connections_max; only up
    timed_out,          ///< requests that came and answers that left too slowly; only up
    buffered,           ///< bytes that count against buffer_bytes_max: up and down
    broken_off,         ///< connections ended because of buffer_bytes_max; only up
    streams,            ///< bodies being streamed: up, and down again
    streams_refused,    ///< beyond streams_max; only up
    tokens_refused,     ///< requests with a wrong token; only up
    handshakes_failed,  ///< of TLS; only up
};

/// Each may be empty. Called on the server's thread; must not throw.
struct Observer {
    std::function<void(const RequestLog&)> request;
    std::function<void(std::string_view)> trouble;  ///< not about one request: out of descriptors
    std::function<void(Counted, int change)> counted;
    /// Gives each request a context of its own, for its span; may be none. Recording that span,
    /// when it is sampled, is left to `request`.
    const telemetry::Tracer* tracer = nullptr;
};

/// An HTTP/1.1 server: one task for each connection, requests of a connection in order.
///
/// Belongs to the thread of its executor, which must be the only one. The router outlives it.
/// Owns all its tasks: after stop() returned none is left, and then it may be destroyed.
class Server {
public:
    Server(
        asio::any_io_executor executor,
        const Router& router,
        Limits limits,
        Observer observer,
        Options options = {}
    );
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Starts to accept; port 0 is any free one. Returns the port. Once in a server's life.
    Result<std::uint16_t> listen(const std::string& host, std::uint16_t port);
    /// Every response has "Connection: close" from now on, so that clients go elsewhere before
    /// stop(). New connections are still accepted.
    void drain();
    /// Stops accepting, closes idle connections, answers what is in flight with
    /// "Connection: close"; what is not answered at the deadline is cancelled. May be called
    /// twice, and without listen().
    Task<> stop(Deadline deadline);

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace txstream::http
