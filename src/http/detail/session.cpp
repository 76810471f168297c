#include "http/detail/session.hpp"

#include "base/assert.hpp"
#include "http/access.hpp"
#include "http/detail/request_trace.hpp"
#include "http/detail/response_writer.hpp"
#include "http/detail/status.hpp"
#include "http/problem.hpp"
#include "http/tls.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <exception>
#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <tuple>
#include <utility>

namespace txstream::http::detail {
namespace {

constexpr std::size_t kInputBytesMin = 4 * 1024;
// A body up to this size is copied behind its head and leaves in one piece with it.
constexpr std::size_t kBodyCopyMax = 16 * 1024;
// What a refused client may still send before we no longer care whether it reads our answer.
constexpr std::size_t kLingerBytesMax = 8 * 1024 * 1024;
constexpr std::size_t kRequestIdMax = 128;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

const Refusal kOverloaded{
    503, "the server buffers too much for slow clients right now, try again later"
};

bool is_sane_id(std::string_view id) noexcept {
    return !id.empty() && id.size() <= kRequestIdMax &&
           std::all_of(id.begin(), id.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      c == '-' || c == '_' || c == '.' || c == ':';
           });
}

RequestParser::Limits parser_limits(const Limits& limits) {
    const HeadLimits head{
        limits.header_bytes_max,
        std::min(limits.target_bytes_max, limits.header_bytes_max),
        limits.header_fields_max
    };
    return {head, limits.body_bytes_max};
}

asio::ssl::context* tls_of(const Shared& shared) {
    auto* const tls = shared.options.tls;
    return tls == nullptr ? nullptr : &tls->context(Deadline::Clock::now());
}

class Handshaking {
public:
    explicit Handshaking(Shared& shared) : shared_(shared) { ++shared_.handshakes; }
    ~Handshaking() { --shared_.handshakes; }
    Handshaking(const Handshaking&) = delete;
    Handshaking& operator=(const Handshaking&) = delete;

private:
    Shared& shared_;
};

class InFlight {
public:
    explicit InFlight(const Shared& shared) : shared_(shared) { shared_.count(Counted::requests); }
    ~InFlight() { shared_.count(Counted::requests, -1); }
    InFlight(const InFlight&) = delete;
    InFlight& operator=(const InFlight&) = delete;

private:
    const Shared& shared_;
};

}  // namespace

Session::Session(asio::ip::tcp::socket accepted, Shared& shared)
    : transport_(std::move(accepted), tls_of(shared)),
      shared_(shared),
      parser_(parser_limits(shared.limits)),
      input_(std::min(kInputBytesMin, shared.limits.header_bytes_max)),
      held_(shared.buffers, [this] { break_off(); }) {
    // Neither can fail on a socket that is open; if they did, only speed would suffer.
    boost::system::error_code ignored;
    auto& socket = transport_.socket();
    socket.non_blocking(true, ignored);
    socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    const auto peer = socket.remote_endpoint(ignored);
    if (!ignored) peer_ = peer.address();
}

Task<> Session::run() {
    if (transport_.is_tls() && !co_await handshake()) co_return;
    for (;;) {
        parser_.begin(Deadline(Clock::time_point::max()));
        if (!co_await read_request()) co_return;
        if (!co_await answer()) break;
        // The next request has already arrived and would be answered without a wait: let every
        // other connection run first.
        if (input_begin_ < input_end_) co_await asio::post(asio::use_awaitable);
    }
    co_await close();
}

// False when the connection is of no use.
Task<bool> Session::handshake() {
    if (shared_.handshakes >= shared_.limits.handshakes_max) {
        shared_.count(Counted::refused);
        co_return false;
    }
    const Handshaking handshaking(shared_);
    wait(Wait::read, shared_.limits.handshake_timeout);
    const auto [error] = co_await transport_.async_handshake(kAwait);
    if (!error) co_return true;
    shared_.count(Counted::handshakes_failed);
    const auto code = static_cast<unsigned long>(error.value());
    if (error.category() != asio::error::get_ssl_category() ||
        ERR_GET_REASON(code) != SSL_R_HTTP_REQUEST)
        co_return false;
    // Typed http:// for https://. The client reads plain bytes, and so it gets an answer.
    auto response = shared_.refuse(400, "this port speaks TLS; use https://", {});
    Departure departure;
    departure.close = true;
    departure.always = &shared_.options.headers;
    departure.now = std::time(nullptr);
    write_head(output_, response, departure);
    output_ += response.body;
    boost::system::error_code ignored;
    transport_.socket().write_some(asio::buffer(output_), ignored);
    co_return false;
}

Task<> Session::run_refused() {
    // An answer would need a handshake, which costs more than what the limit saves.
    if (transport_.is_tls()) co_return;

    auto response = shared_.refuse(503, "too many connections, try again later", {});
    response.with("Retry-After", "1");
    Departure departure;
    departure.close = true;
    departure.always = &shared_.options.headers;
    departure.now = std::time(nullptr);
    write_head(output_, response, departure);
    parser_.refuse({503, "too many connections"});
    if (co_await write(output_, response.body)) co_await close();
}

void Session::look_at(Clock::time_point now) {
    if (now >= stream_until_) cancel();
    // A token that was revoked, or has expired, ends what it opened.
    if (stream_ != nullptr && token_ && !shared_.options.access->is_valid(*token_, now)) cancel();
    if (now < until_) return;
    if (!expired_ && (waiting_ == Wait::read || waiting_ == Wait::write))
        shared_.count(Counted::timed_out);
    expired_ = true;
    transport_.cancel();
}

void Session::drain() {
    stream_until_ = Clock::now() + shared_.limits.drain_timeout;
    if (waiting_ != Wait::none)
        until_ = std::min(until_, Clock::now() + shared_.limits.drain_timeout);
    if (waiting_ != Wait::idle && waiting_ != Wait::linger) return;
    transport_.cancel();
}

// True when there is something to answer, be it a refusal.
Task<bool> Session::read_request() {
    const auto& limits = shared_.limits;
    bool continued = false;
    wait(Wait::idle, first_ ? limits.read_timeout : limits.idle_timeout);
    for (;;) {
        if (input_begin_ < input_end_) {
            if (waiting_ == Wait::idle) {
                began_ = Clock::now();
                wait(Wait::read, limits.read_timeout);
            }
            const bool had_head = parser_.has_head();
            input_begin_ += parser_.feed({input_.data() + input_begin_, input_end_ - input_begin_});
            if (!had_head && parser_.has_head()) admit();
            if (parser_.finished()) co_return true;
            if (!held_.hold(parser_.request().body.size(), began_)) {
                parser_.refuse(kOverloaded);
                co_return true;
            }
            if (!continued && parser_.wants_continue()) {
                continued = true;
                if (!co_await write("HTTP/1.1 100 Continue\r\n\r\n", {})) co_return false;
                wait(Wait::read, limits.read_timeout);
            }
        }
        make_room();
        if (input_end_ == input_.size()) {
            // What the parser left is part of a head, and it answers 431 to one byte too many.
            TXS_ASSERT(input_.size() <= limits.header_bytes_max, "an incomplete head has a limit");
            input_.resize(std::min(input_.size() * 2, limits.header_bytes_max + 1));
        }
        if (waiting_ == Wait::idle && !may_be_idle()) co_return false;
        const auto [error, size] = co_await transport_.async_read_some(
            asio::buffer(input_.data() + input_end_, input_.size() - input_end_), kAwait
        );
        input_end_ += size;
        // Also after bytes: from a client that never pauses no read is ever broken off.
        if (expired_ && waiting_ == Wait::read) {
            if (broken_off_) {
                parser_.refuse(kOverloaded);
                co_return true;
            }
            if (!parser_.started()) co_return false;
            parser_.refuse({408, "the request did not arrive in time"});
            co_return true;
        }
        // Broken off without being too late: the server drains, and the loop decides.
        if (error && (expired_ || error != asio::error::operation_aborted)) co_return false;
    }
}

// True when the connection goes on.
Task<bool> Session::answer() {
    const InFlight in_flight(shared_);
    wait(Wait::none, Clock::duration::max());
    held_.pin();
    first_ = false;
    Request& request = parser_.request();
    request.deadline = Deadline::in(shared_.limits.handler_timeout);
    request.id = id_for(request);
    const RequestTrace trace(request, shared_.observer.tracer, shared_.trace_ids);
    request.trace = trace.own;
    request.peer = peer_;
    const std::string id = request.id;
    const Method method = request.method;
    Response response;
    std::string_view route = "malformed";
    if (const auto& refusal = parser_.refusal()) {
        response = shared_.refuse(refusal->status, refusal->text, id);
        if (refusal->status == 503) response.with("Retry-After", "1");
        request.body = std::string();
    } else {
        auto match = shared_.router.find(request);
        route = match.route;
        response = co_await respond(std::move(request), std::move(match));
    }
    complete(response, id, shared_.options.problems);

    Departure departure;
    departure.is_stream = static_cast<bool>(response.stream);
    departure.is_http_1_0 = parser_.is_http_1_0();
    departure.close =
        !parser_.keep_alive() || shared_.closing || (departure.is_stream && departure.is_http_1_0);
    departure.without_body = method == Method::head;
    departure.request_id = id;
    departure.always = &shared_.options.headers;
    departure.now = std::time(nullptr);
    output_.clear();
    const bool has_body = write_head(output_, response, departure);
    bool written = co_await write(output_, has_body ? response.body : std::string_view());
    if (written && departure.is_stream && !departure.without_body)
        written = co_await send_stream(response, !departure.is_http_1_0);
    if (shared_.observer.request) {
        shared_.observer.request(
            {method,
             route,
             id,
             response.status,
             Clock::now() - began_,
             response.failure,
             trace.own ? &*trace.own : nullptr,
             trace.parent,
             trace.path,
             departure.is_stream}
        );
    }
    co_return written && !departure.close;
}

Response Shared::refuse(int status, std::string_view why, std::string_view request_id) const {
    if (options.problems == Problems::error_member) return problem(status, why);
    return problem_details(status, code_word(status), why, request_id);
}

// The router does not know how this server words its refusals.
Response Session::refuse(Router::Match match, const std::string& id) const {
    if (match.refusal.status < 400) return std::move(match.refusal);
    auto response = shared_.refuse(match.refusal.status, match.why, id);
    response.headers = std::move(match.refusal.headers);
    return response;
}

// Sets the caller. Nothing if it may do what needs at least this role.
std::optional<Response> Session::refuse_caller(Request& request, Role least) const {
    const auto refuse = [&](int status, std::string_view why) {
        auto response = shared_.refuse(status, why, request.id);
        if (status == 401) response.with("WWW-Authenticate", "Bearer");
        return response;
    };
    if (auto* const access = shared_.options.access) {
        auto caller = access->identify(request, peer_, Clock::now());
        if (!caller) {
            shared_.count(Counted::tokens_refused);
            auto response = refuse(caller.error().status, caller.error().text);
            if (caller.error().status == 429)
                response.with("Retry-After", std::to_string(caller.error().retry_after.count()));
            return response;
        }
        request.caller = std::move(*caller);
    }
    if (request.caller.role == Role::none) request.caller.role = shared_.options.anonymous;
    request.caller.role = std::min(request.caller.role, shared_.options.most);
    if (request.caller.role >= least) return std::nullopt;
    if (request.caller.role == Role::none)
        return refuse(401, "this needs a token: Authorization: Bearer TOKEN");
    return refuse(
        403,
        request.caller.name.empty() ? "this needs the token of an operator"
                                    : "the role of your token does not allow this"
    );
}

// The request boundary: no exception of a handler goes further, but for the one that says that we
// ourselves were cancelled.
Task<Response> Session::respond(Request request, Router::Match match) {
    if (auto refusal = refuse_caller(request, match.least)) co_return std::move(*refusal);
    if (match.handler == nullptr) co_return refuse(std::move(match), request.id);
    token_ = shared_.options.access ? Access::token_of(request) : std::nullopt;
    const std::string id = request.id;
    const auto unproven = shared_.options.admission.refuse_stream(request);
    // What a handler does for a stream may cost much, and a foreign page must not make it do so.
    if (unproven && match.answer == Router::Answer::stream)
        co_return shared_.refuse(unproven->status, unproven->text, id);
    std::string failure;
    try {
        auto response = co_await (*match.handler)(std::move(request));
        if (!response.stream) co_return response;
        if (unproven) co_return shared_.refuse(unproven->status, unproven->text, id);
        if (shared_.streams < shared_.limits.streams_max) co_return response;
        shared_.count(Counted::streams_refused);
        auto refusal =
            shared_.refuse(429, "too many streams are open; close one, or try again later", id);
        co_return std::move(refusal).with("Retry-After", "5");
    } catch (const std::exception& error) {
        if (shared_.cancelled) throw;
        failure = std::string("exception: ") + error.what();
    } catch (...) {
        failure = "exception of an unknown type";
    }
    Response response(500);
    response.failure = std::move(failure);
    co_return response;
}

Task<bool> Session::write(std::string_view head, std::string_view body) {
    if (head.data() == output_.data() && body.size() <= kBodyCopyMax) {
        output_ += body;
        head = output_;
        body = {};
    }
    std::array<asio::const_buffer, 2> buffers = {asio::buffer(head), asio::buffer(body)};
    const std::size_t total = head.size() + body.size();
    // Nearly always the socket takes all at once, and no wait is needed.
    boost::system::error_code error;
    const std::size_t size = transport_.write_some(buffers, error);
    if (size == total) {
        held_.release();
        co_return true;
    }
    if (error && error != asio::error::would_block) co_return false;
    wait(Wait::write, shared_.limits.write_timeout);
    if (!held_.hold(total, Clock::now())) co_return false;
    std::size_t sent = size;
    std::size_t left = total;
    error = {};
    for (;;) {
        const std::size_t from_head = std::min(sent, buffers[0].size());
        buffers[0] += from_head;
        buffers[1] += sent - from_head;
        left -= sent;
        if (left == 0 || error || expired_) break;
        std::tie(error, sent) = co_await transport_.async_write_some(buffers, kAwait);
    }
    wait(Wait::none, Clock::duration::max());
    held_.release();
    co_return left == 0;
}

// Closing a socket that holds unread bytes resets the connection, and a reset may overtake the
// answer that says why. So the client gets time to read it.
Task<> Session::close() {
    auto& socket = transport_.socket();
    wait(Wait::linger, shared_.limits.linger_timeout);
    bool is_lingering = has_unread();
    if (transport_.is_tls()) {
        // Says that nothing was cut off, and waits for the same. It fails if the client still
        // sends.
        const auto [failed] = co_await transport_.async_shutdown(kAwait);
        if (failed == asio::error::operation_aborted) co_return;
        is_lingering = is_lingering || failed.failed();
    }
    boost::system::error_code error;
    socket.shutdown(asio::ip::tcp::socket::shutdown_send, error);
    if (error || !is_lingering) co_return;
    std::size_t read = 0;
    while (read < kLingerBytesMax && !expired_) {
        const auto [failed, size] = co_await socket.async_read_some(asio::buffer(input_), kAwait);
        if (failed) co_return;
        read += size;
    }
}

// Called while another session runs.
void Session::break_off() {
    broken_off_ = expired_ = true;
    transport_.cancel();
}

// Once the headers have come, and before a body is invited.
void Session::admit() {
    if (parser_.refusal()) return;
    auto refusal = shared_.options.admission.refuse(parser_.request(), parser_.has_body());
    if (refusal) parser_.refuse({refusal->status, std::move(refusal->text)});
}

// What has not been consumed moves to the front of the buffer.
void Session::make_room() {
    if (input_begin_ == 0) return;
    std::copy(
        input_.begin() + static_cast<std::ptrdiff_t>(input_begin_),
        input_.begin() + static_cast<std::ptrdiff_t>(input_end_),
        input_.begin()
    );
    input_end_ -= input_begin_;
    input_begin_ = 0;
}

void Session::wait(Wait what, Clock::duration how_long) {
    if (shared_.draining && what != Wait::none)
        how_long = std::min<Clock::duration>(how_long, shared_.limits.drain_timeout);
    waiting_ = what;
    expired_ = false;
    until_ =
        how_long == Clock::duration::max() ? Clock::time_point::max() : Clock::now() + how_long;
}

bool Session::has_unread() const {
    if (parser_.refusal() || input_begin_ < input_end_) return true;
    return transport_.has_unread();
}

// While the server drains, only a request that is already here is waited for.
bool Session::may_be_idle() const {
    if (!shared_.draining) return true;
    return transport_.has_unread();
}

std::string Session::id_for(const Request& request) {
    if (const auto sent = request.header("X-Request-Id"); sent && is_sane_id(*sent)) {
        return std::string(*sent);
    }
    return fmt::format("{:016x}", shared_.random());
}

}  // namespace txstream::http::detail
