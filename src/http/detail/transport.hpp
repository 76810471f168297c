#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>

#include <cstddef>
#include <memory>
#include <utility>

namespace txstream::http::detail {

/// The bytes of one connection, plain or through TLS. A plain one costs a comparison: the choice
/// is made when an operation is started, and both start the same kind of operation.
class Transport {
public:
    using Socket = boost::asio::ip::tcp::socket;

    /// Without `tls`, plain. The context may go as soon as this is made.
    Transport(Socket socket, boost::asio::ssl::context* tls) : socket_(std::move(socket)) {
        if (tls != nullptr) tls_ = std::make_unique<Tls>(socket_, *tls);
    }

    bool is_tls() const noexcept { return tls_ != nullptr; }
    Socket& socket() noexcept { return socket_; }
    /// Bytes have come that no read has taken; of TLS, perhaps not of a request.
    bool has_unread() const {
        boost::system::error_code ignored;
        return socket_.available(ignored) > 0;
    }
    auto get_executor() { return socket_.get_executor(); }

    /// As much as goes without a wait; TLS has to wait always.
    template <class Buffers>
    std::size_t write_some(const Buffers& buffers, boost::system::error_code& error) {
        if (!tls_) return socket_.write_some(buffers, error);
        error = boost::asio::error::would_block;
        return 0;
    }
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token token) {
        return tls_ ? tls_->async_write_some(buffers, token)
                    : socket_.async_write_some(buffers, token);
    }
    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token token) {
        return tls_ ? tls_->async_read_some(buffers, token)
                    : socket_.async_read_some(buffers, token);
    }
    /// Only of TLS.
    template <class Token>
    auto async_handshake(Token token) {
        return tls_->async_handshake(boost::asio::ssl::stream_base::server, token);
    }
    template <class Token>
    auto async_shutdown(Token token) {
        return tls_->async_shutdown(token);
    }

    /// Every operation fails with operation_aborted; those that read may be started again.
    void cancel() {
        boost::system::error_code ignored;
        socket_.cancel(ignored);
    }

private:
    using Tls = boost::asio::ssl::stream<Socket&>;

    Socket socket_;
    std::unique_ptr<Tls> tls_;
};

}  // namespace txstream::http::detail
