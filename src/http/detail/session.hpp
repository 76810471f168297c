#pragma once

#include "http/detail/buffers.hpp"
#include "http/detail/request_parser.hpp"
#include "http/detail/transport.hpp"
#include "http/server.hpp"
#include "http/tokens.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace txstream::http::detail {

/// What the sessions of a server share.
struct Shared {
    Shared(
        const Router& with_router, Limits with_limits, Observer with_observer, Options with_options
    )
        : router(with_router),
          limits(with_limits),
          observer(std::move(with_observer)),
          options(std::move(with_options)),
          buffers(
              limits.buffer_bytes_max,
              [this](int change) { count(Counted::buffered, change); },
              [this] { count(Counted::broken_off); }
          ) {}

    const Router& router;
    const Limits limits;
    const Observer observer;
    Options options;
    Buffers buffers;
    std::mt19937_64 random{std::random_device()()};
    telemetry::TraceIds trace_ids = telemetry::TraceIds::random();
    bool closing = false;    ///< answers say "Connection: close"
    bool draining = false;   ///< stop() has been called
    bool cancelled = false;  ///< the deadline of stop() has passed
    std::size_t streams = 0;
    std::size_t handshakes = 0;  ///< under way

    /// In the words of this server.
    Response refuse(int status, std::string_view why, std::string_view request_id) const;
    void count(Counted what, int change = 1) const {
        if (observer.counted) observer.counted(what, change);
    }
};

/// One connection. Waiting costs no timer of its own: a session knows until when it waits, and the
/// server looks at all sessions now and then.
class Session {
public:
    using Clock = Deadline::Clock;

    Session(asio::ip::tcp::socket accepted, Shared& shared);

    /// Serves until either side has enough.
    Task<> run();
    /// Tells the client that there are too many of it.
    Task<> run_refused();
    /// Ends the wait if it is over. To be called again and again: what it cancels may have been
    /// done already, and then the session waits anew.
    void look_at(Clock::time_point now);
    /// The server stops: a session that waits for a request need not, and a stream should end.
    void drain();
    /// The patience of stop() is over: ends a stream, which the session itself waits for.
    void cancel();

private:
    enum class Wait : std::uint8_t { none, idle, read, write, linger };
    class Stream;

    Task<bool> handshake();
    Task<bool> read_request();
    Task<bool> answer();
    Task<Response> respond(Request request, Router::Match match);
    std::optional<Response> refuse_caller(Request& request, Role least) const;
    Response refuse(Router::Match match, const std::string& id) const;
    Task<bool> write(std::string_view head, std::string_view body);
    Task<bool> send_stream(Response& response, bool is_chunked);
    Task<> close();

    void wait(Wait what, Clock::duration how_long);
    void break_off();
    void make_room();
    void admit();
    bool has_unread() const;
    bool may_be_idle() const;
    std::string id_for(const Request& request);

    Transport transport_;
    Shared& shared_;
    asio::ip::address peer_;
    RequestParser parser_;
    std::vector<char> input_;
    std::size_t input_begin_ = 0;
    std::size_t input_end_ = 0;
    std::string output_;
    Wait waiting_ = Wait::none;
    bool expired_ = false;
    bool broken_off_ = false;  ///< it held too much for too long
    bool first_ = true;
    Clock::time_point until_ = Clock::time_point::max();
    Clock::time_point began_{};  ///< the first byte of the request
    Buffers::Share held_;
    Stream* stream_ = nullptr;             ///< while one is sent
    std::optional<Tokens::Digest> token_;  ///< of the request that is being answered
    Clock::time_point stream_until_ = Clock::time_point::max();
};

}  // namespace txstream::http::detail
