#include "otlp/detail/http_post.hpp"

#include "base/version.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <fmt/format.h>

#include <cstdint>
#include <openssl/ssl.h>
#include <optional>
#include <utility>

namespace txstream::otlp::detail {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
using asio::ip::tcp;
using Request = http::request<http::span_body<const char>>;

// A collector answers "{}", or why not.
constexpr std::uint32_t kHeadBytesMax = 16 * 1024;
constexpr std::uint64_t kBodyBytesMax = std::uint64_t{64} * 1024;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

bool is_address(const std::string& host) {
    boost::system::error_code error;
    (void)asio::ip::make_address(host, error);
    return !error;
}

}  // namespace

class HttpPost::Impl {
public:
    Impl(Endpoint endpoint, Pairs headers)
        : endpoint_(std::move(endpoint)), headers_(std::move(headers)) {}

    Result<> trust(const std::string& certificate_file) {
        if (!endpoint_.is_https) return {};
        tls_.emplace(ssl::context::tls_client);
        boost::system::error_code error;
        if (certificate_file.empty()) {
            tls_->set_default_verify_paths(error);
        } else {
            tls_->load_verify_file(certificate_file, error);
        }
        if (error)
            return fail(
                Code::invalid_input,
                fmt::format(
                    "OTEL_EXPORTER_OTLP_CERTIFICATE: cannot use the certificates{}{}: {}",
                    certificate_file.empty() ? "" : " in ",
                    certificate_file,
                    error.message()
                )
            );
        tls_->set_verify_mode(ssl::verify_peer);
        return {};
    }

    Task<Result<Reply>> post(std::string_view body, Deadline deadline) {
        Request request{http::verb::post, endpoint_.target, 11};
        request.set(http::field::host, endpoint_.authority());
        request.set(http::field::content_type, "application/json");
        request.set(http::field::user_agent, fmt::format("txstream/{}", version()));
        request.set(http::field::connection, "close");
        for (const auto& [name, value] : headers_) request.set(name, value);
        request.body() = {body.data(), body.size()};
        request.prepare_payload();

        const auto executor = co_await asio::this_coro::executor;
        tcp::resolver resolver(executor);
        const auto [unknown, addresses] =
            co_await resolver.async_resolve(endpoint_.host, endpoint_.port, kAwait);
        if (unknown) co_return failed("look up", unknown);
        if (!tls_) {
            beast::tcp_stream stream(executor);
            if (const auto error = co_await connect(stream, addresses, deadline); error)
                co_return failed("connect to", error);
            co_return co_await exchange(stream, request);
        }
        beast::ssl_stream<beast::tcp_stream> stream(executor, *tls_);
        stream.set_verify_callback(ssl::host_name_verification(endpoint_.host));
        if (!is_address(endpoint_.host))
            SSL_set_tlsext_host_name(stream.native_handle(), endpoint_.host.c_str());
        if (const auto error = co_await connect(stream.next_layer(), addresses, deadline); error)
            co_return failed("connect to", error);
        const auto [refused] = co_await stream.async_handshake(ssl::stream_base::client, kAwait);
        if (refused) co_return failed("agree on TLS with", refused);
        co_return co_await exchange(stream, request);
    }

private:
    static Task<boost::system::error_code> connect(
        beast::tcp_stream& stream, tcp::resolver::results_type addresses, Deadline deadline
    ) {
        stream.expires_at(deadline.at());  // for all that follows, too
        const auto [error, address] = co_await stream.async_connect(addresses, kAwait);
        co_return error;
    }

    template <class Stream>
    Task<Result<Reply>> exchange(Stream& stream, const Request& request) {
        const auto [not_sent, sent] = co_await http::async_write(stream, request, kAwait);
        if (not_sent) co_return failed("send to", not_sent);
        http::response_parser<http::string_body> parser;
        parser.header_limit(kHeadBytesMax);
        parser.body_limit(kBodyBytesMax);
        beast::flat_buffer buffer(kHeadBytesMax + kBodyBytesMax);
        const auto [not_read, read] = co_await http::async_read(stream, buffer, parser, kAwait);
        if (not_read) co_return failed("read the answer of", not_read);
        auto& response = parser.get();
        Reply reply;
        reply.status = static_cast<int>(response.result_int());
        reply.retry_after = response[http::field::retry_after];
        reply.body = std::move(response.body());
        co_return reply;  // the peer closes too; its goodbye is not waited for
    }

    tl::unexpected<Error> failed(std::string_view step, const boost::system::error_code& error) {
        return fail(
            error == beast::error::timeout ? Code::timed_out : Code::unavailable,
            fmt::format("cannot {} {}: {}", step, endpoint_.authority(), error.message())
        );
    }

    Endpoint endpoint_;
    Pairs headers_;
    std::optional<ssl::context> tls_;
};

HttpPost::HttpPost(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {
}

HttpPost::~HttpPost() = default;

Result<std::unique_ptr<HttpPost>> HttpPost::create(
    Endpoint endpoint, Pairs headers, const std::string& certificate_file
) {
    auto impl = std::make_unique<Impl>(std::move(endpoint), std::move(headers));
    TXS_CHECK(impl->trust(certificate_file));
    return std::unique_ptr<HttpPost>(new HttpPost(std::move(impl)));
}

Task<Result<Reply>> HttpPost::post(std::string_view body, Deadline deadline) {
    return impl_->post(body, deadline);
}

}  // namespace txstream::otlp::detail
