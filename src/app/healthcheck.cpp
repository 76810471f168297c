#include "app/healthcheck.hpp"

#include "runtime/task.hpp"
#include "runtime/task_group.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

namespace txstream::app {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
using asio::ip::tcp;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// Our own answers have some hundred bytes. Whatever else may listen there is cut off.
constexpr std::uint32_t kHeadBytesMax = 16 * 1024;
constexpr std::uint64_t kBodyBytesMax = 4 * 1024;

std::string_view path_of(HealthQuestion::Kind kind) {
    return kind == HealthQuestion::Kind::ready ? "/readyz" : "/livez";
}

std::string where(const HealthListener& listener) {
    return fmt::format("{} ({}:{})", listener.role, listener.host, listener.port);
}

/// A server that listens on all addresses is asked on loopback.
std::string reachable(const std::string& host) {
    boost::system::error_code error;
    const auto address = asio::ip::make_address(host, error);
    if (error || !address.is_unspecified()) return host;
    return address.is_v6() ? "::1" : "127.0.0.1";
}

struct Candidate {
    HealthListener listener;
    bool is_enabled = true;
    std::string_view port_setting;
    std::string_view enabling_setting{};
};

std::vector<Candidate> candidates(const Config& config) {
    const bool is_tls = !config.console.tls_certificate_file.empty();
    return {
        {.listener = {.role = "api", .host = config.server.host, .port = config.server.port},
         .port_setting = "SERVER_PORT"},
        {.listener = {.role = "relay", .host = config.metrics.host, .port = config.metrics.port},
         .is_enabled = config.metrics.enabled,
         .port_setting = "METRICS_PORT",
         .enabling_setting = "METRICS_ENABLED"},
        // CONSOLE_ENABLED is about the console of `serve`: `txstream console` listens without it.
        {.listener =
             {.role = "console",
              .host = config.console.host,
              .port = config.console.port,
              .is_tls = is_tls},
         .port_setting = "CONSOLE_PORT"},
    };
}

/// One exchange over a connection of its own.
class Exchange {
public:
    Exchange(const HealthListener& listener, HealthQuestion::Kind kind, Deadline deadline)
        : listener_(listener), kind_(kind), deadline_(deadline) {}

    Task<HealthAnswer> run() {
        const auto executor = co_await asio::this_coro::executor;
        tcp::resolver resolver(executor);
        const auto [unknown, addresses] =
            co_await resolver.async_resolve(listener_.host, std::to_string(listener_.port), kAwait);
        if (unknown) co_return failed("look up the address", unknown);
        if (!listener_.is_tls) {
            beast::tcp_stream stream(executor);
            if (const auto error = co_await connect(stream, addresses)) co_return refused(error);
            co_return co_await ask(stream);
        }
        // The certificate is for the console's public name, and the peer is this very host: nothing
        // secret is sent, so whose certificate it is does not matter here.
        ssl::context tls(ssl::context::tls_client);
        tls.set_verify_mode(ssl::verify_none);
        beast::ssl_stream<beast::tcp_stream> stream(executor, tls);
        if (const auto error = co_await connect(stream.next_layer(), addresses))
            co_return refused(error);
        const auto [no_tls] = co_await stream.async_handshake(ssl::stream_base::client, kAwait);
        if (no_tls) co_return failed("agree on TLS", no_tls);
        co_return co_await ask(stream);
    }

private:
    Task<boost::system::error_code> connect(
        beast::tcp_stream& stream, tcp::resolver::results_type addresses
    ) {
        stream.expires_at(deadline_.at());  // for all that follows, too
        const auto [error, address] = co_await stream.async_connect(addresses, kAwait);
        co_return error;
    }

    template <class Stream>
    Task<HealthAnswer> ask(Stream& stream) {
        const auto target = path_of(kind_);
        http::request<http::empty_body> request{
            http::verb::get, beast::string_view(target.data(), target.size()), 11
        };
        // The name that every server of ours accepts, wherever it listens.
        request.set(http::field::host, "localhost");
        request.set(http::field::user_agent, "txstream healthcheck");
        request.set(http::field::connection, "close");
        const auto [not_sent, sent] = co_await http::async_write(stream, request, kAwait);
        if (not_sent) co_return failed("send the question", not_sent);
        http::response_parser<http::string_body> parser;
        parser.header_limit(kHeadBytesMax);
        parser.body_limit(kBodyBytesMax);
        beast::flat_buffer buffer(kHeadBytesMax + kBodyBytesMax);
        const auto [not_read, read] = co_await http::async_read(stream, buffer, parser, kAwait);
        if (not_read) co_return failed("read the answer", not_read);
        const auto& response = parser.get();
        if (response.result() == http::status::ok)
            co_return answer(HealthAnswer::Kind::healthy, {});
        co_return answer(
            HealthAnswer::Kind::unhealthy,
            fmt::format("{} {}: {}", path_of(kind_), response.result_int(), response.body())
        );
    }

    HealthAnswer refused(const boost::system::error_code& error) const {
        if (error == boost::system::errc::connection_refused)
            return answer(HealthAnswer::Kind::not_listening, "nothing listens there");
        return failed("connect", error);
    }

    HealthAnswer failed(std::string_view step, const boost::system::error_code& error) const {
        const bool is_late = error == beast::error::timeout;
        return answer(
            HealthAnswer::Kind::unhealthy,
            fmt::format("cannot {}: {}", step, is_late ? "out of time" : error.message())
        );
    }

    HealthAnswer answer(HealthAnswer::Kind kind, std::string what) const {
        return {listener_, kind, std::move(what)};
    }

    const HealthListener& listener_;
    HealthQuestion::Kind kind_;
    Deadline deadline_;
};

Task<> ask_into(
    HealthAnswer& answer,
    const HealthListener& listener,
    HealthQuestion::Kind kind,
    Deadline deadline
) {
    Exchange exchange(listener, kind, deadline);
    answer = co_await exchange.run();
}

}  // namespace

Result<std::vector<HealthListener>> listeners_to_ask(
    const Config& config, const HealthQuestion& question
) {
    std::vector<HealthListener> found;
    for (auto& candidate : candidates(config)) {
        auto& listener = candidate.listener;
        const bool is_named = listener.role == question.role;
        if (!question.role.empty() && !is_named) continue;
        if (!candidate.is_enabled) {
            if (!is_named) continue;
            return fail(
                Code::invalid_input,
                fmt::format(
                    "{}=false: the {} does not listen, so its health cannot be asked",
                    candidate.enabling_setting,
                    listener.role
                )
            );
        }
        if (listener.port == 0) {
            if (!is_named) continue;
            return fail(
                Code::invalid_input,
                fmt::format(
                    "{}=0 is any free port; set a fixed one for a health check",
                    candidate.port_setting
                )
            );
        }
        listener.host = reachable(listener.host);
        found.push_back(std::move(listener));
    }
    if (found.empty())
        return fail(
            Code::invalid_input,
            "no port to ask: SERVER_PORT, METRICS_PORT and CONSOLE_PORT are 0 or turned off"
        );
    return found;
}

Result<std::string> judge_health(
    const HealthQuestion& question, const std::vector<HealthAnswer>& answers
) {
    std::vector<std::string> good;
    std::vector<std::string> bad;
    std::vector<std::string> silent;
    for (const auto& answer : answers) {
        const auto place = where(answer.listener);
        switch (answer.kind) {
            case HealthAnswer::Kind::healthy:
                good.push_back(place);
                break;
            case HealthAnswer::Kind::unhealthy:
                bad.push_back(fmt::format("{}: {}", place, answer.what));
                break;
            case HealthAnswer::Kind::not_listening:
                silent.push_back(place);
                break;
        }
    }
    if (!bad.empty()) return fail(Code::unavailable, fmt::format("{}", fmt::join(bad, "; ")));
    if (good.empty())
        return fail(
            Code::unavailable, fmt::format("nothing listens at {}", fmt::join(silent, ", "))
        );
    return fmt::format(
        "{}: {}",
        question.kind == HealthQuestion::Kind::ready ? "ready" : "live",
        fmt::join(good, ", ")
    );
}

Result<std::string> check_health(
    const Config& config, const HealthQuestion& question, Deadline deadline
) {
    TXS_TRY(const auto listeners, listeners_to_ask(config, question));
    std::vector<HealthAnswer> answers(listeners.size());
    asio::io_context loop(1);
    runtime::TaskGroup tasks(loop.get_executor());
    for (std::size_t i = 0; i < listeners.size(); ++i)
        tasks.spawn(ask_into(answers[i], listeners[i], question.kind, deadline));
    loop.run();
    return judge_health(question, answers);
}

}  // namespace txstream::app
