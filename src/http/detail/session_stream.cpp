// How a session sends a body that its handler makes piece by piece.
//
// Two tasks run while the session waits for both. One runs the handler, whose pieces leave through
// write(): a piece is copied once, is 16 KiB at most, and the next one has to wait until the socket
// has accepted it. The other reads, since only a read finds out that a client has gone while the
// handler waits for something else; what a client sends ahead stays for the next request. A client
// that ends its side only (half-close) counts as gone: nothing distinguishes it from one that
// closed, and no browser does it.
#include "base/assert.hpp"
#include "http/detail/session.hpp"
#include "runtime/task_group.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <iterator>

namespace txstream::http::detail {
namespace {

// With its size and line ends, a piece stays below what every connection may hold.
constexpr std::size_t kPieceBytesMax = Buffers::kEachBytes - 16;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

}  // namespace

class Session::Stream final : public BodyWriter {
public:
    Stream(Session& session, bool is_chunked)
        : session_(session), is_chunked_(is_chunked), tasks_(session.transport_.get_executor()) {
        ++session_.shared_.streams;
        session_.shared_.count(Counted::streams);
        session_.stream_ = this;
    }
    ~Stream() override {
        session_.stream_ = nullptr;
        session_.shared_.count(Counted::streams, -1);
        --session_.shared_.streams;
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    Task<bool> write(std::string_view bytes) override;
    bool is_open() const override { return !is_broken_ && !session_.shared_.draining; }

    /// True if the body is complete.
    Task<bool> run(Response& response);
    void cancel() {
        is_broken_ = true;
        tasks_.cancel();
    }

private:
    Task<> make(Response& response);
    Task<> listen();

    Session& session_;
    const bool is_chunked_;
    bool is_made_ = false;    ///< the handler has returned, whichever way
    bool is_broken_ = false;  ///< the body will never be complete
    runtime::TaskGroup tasks_;
};

Task<bool> Session::Stream::write(std::string_view bytes) {
    while (!bytes.empty() && !is_broken_) {
        const auto piece = bytes.substr(0, kPieceBytesMax);
        bytes.remove_prefix(piece.size());
        auto& out = session_.output_;
        out.clear();
        if (is_chunked_) fmt::format_to(std::back_inserter(out), "{:x}\r\n", piece.size());
        out += piece;
        if (is_chunked_) out += "\r\n";
        if (!co_await session_.write(out, {})) is_broken_ = true;
        // A handler that always has something, for a client that always reads, would let no other
        // connection run.
        co_await asio::post(asio::use_awaitable);
    }
    co_return !is_broken_;
}

Task<bool> Session::Stream::run(Response& response) {
    tasks_.spawn(make(response));
    tasks_.spawn(listen());
    // The children have no errors to report.
    (void)co_await tasks_.join();
    co_return !is_broken_;
}

// The request boundary of a handler that has already answered: no exception goes further.
Task<> Session::Stream::make(Response& response) {
    std::string failure;
    try {
        co_await response.stream(*this);
    } catch (const std::exception& error) {
        // Whoever was cancelled ends with an exception, and that is no failure.
        if (!tasks_.cancelled()) failure = std::string("exception: ") + error.what();
        is_broken_ = true;
    } catch (...) {
        failure = "exception of an unknown type";
        is_broken_ = true;
    }
    is_made_ = true;
    if (!failure.empty()) response.failure = std::move(failure);
    session_.transport_.cancel();
}

Task<> Session::Stream::listen() {
    session_.make_room();
    auto& input = session_.input_;
    // A full buffer is as much as a client may send ahead; from then on only a write finds out
    // that it has gone.
    while (!is_made_ && session_.input_end_ < input.size()) {
        const auto [error, size] = co_await session_.transport_.async_read_some(
            asio::buffer(input.data() + session_.input_end_, input.size() - session_.input_end_),
            kAwait
        );
        session_.input_end_ += size;
        // A write that took too long cancels this read as well.
        if (!error || error == asio::error::operation_aborted) continue;
        cancel();
        co_return;
    }
}

Task<bool> Session::send_stream(Response& response, bool is_chunked) {
    Stream stream(*this, is_chunked);
    if (!co_await stream.run(response)) co_return false;
    co_return !is_chunked || co_await write("0\r\n\r\n", {});
}

void Session::cancel() {
    if (stream_ != nullptr) stream_->cancel();
}

}  // namespace txstream::http::detail
