#include "http/detail/request_parser.hpp"

#include "http/detail/text.hpp"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

namespace txstream::http::detail {
namespace {

namespace beast = boost::beast;

// A client may announce more than it sends; memory follows what has come.
constexpr std::size_t kBodyReserveMax = 16 * 1024;

// What is left of an unfinished chunked message is never shorter than its last chunk, "0\r\n\r\n".
constexpr std::size_t kLastChunkBytes = 5;

Method method_of(beast::http::verb verb) noexcept {
    switch (verb) {
        case beast::http::verb::get:
            return Method::get;
        case beast::http::verb::head:
            return Method::head;
        case beast::http::verb::post:
            return Method::post;
        case beast::http::verb::put:
            return Method::put;
        case beast::http::verb::patch:
            return Method::patch;
        case beast::http::verb::delete_:
            return Method::delete_;
        case beast::http::verb::options:
            return Method::options;
        default:
            return Method::other;
    }
}

std::string_view view(beast::string_view text) noexcept {
    return {text.data(), text.size()};
}

// Beast's parser with a sink that fills our Request; Beast's own one would fill a map first.
class Sink final : public beast::http::basic_parser<true> {
public:
    Sink(const RequestParser::Limits& limits, Request& request) : request_(request) {
        header_limit(static_cast<std::uint32_t>(limits.header_bytes_max));
        body_limit(limits.body_bytes_max);
        eager(true);
    }

    int version = 11;  ///< 10 is HTTP/1.0

private:
    using Error = beast::error_code;
    using Text = beast::string_view;

    void on_request_impl(beast::http::verb verb, Text, Text target, int sent, Error&) override {
        version = sent;
        request_.method = method_of(verb);
        request_.target = view(target);
    }
    void on_response_impl(int, Text, int, Error&) override {}
    void on_field_impl(beast::http::field, Text name, Text value, Error&) override {
        // What follows a chunked body is no header: it came after the decision.
        if (!is_header_done()) request_.headers.add(view(name), view(value));
    }
    void on_header_impl(Error&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>& length, Error&) override {
        if (length) {
            request_.body.reserve(
                static_cast<std::size_t>(std::min<std::uint64_t>(*length, kBodyReserveMax))
            );
        }
    }
    std::size_t on_body_impl(Text bytes, Error&) override {
        request_.body.append(bytes.data(), bytes.size());
        return bytes.size();
    }
    void on_chunk_header_impl(std::uint64_t, Text, Error&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, Text bytes, Error&) override {
        request_.body.append(bytes.data(), bytes.size());
        return bytes.size();
    }
    void on_finish_impl(Error&) override {}

    Request& request_;
};

}  // namespace

class RequestParser::Impl {
public:
    explicit Impl(Limits with_limits) : limits(with_limits) {}

    void begin(Deadline until) {
        request = Request(until);
        refusal.reset();
        header_checked = false;
        sink.emplace(limits, request);
    }

    std::size_t feed(std::string_view bytes) {
        std::size_t taken = 0;
        if (!sink->got_some()) {
            // RFC 9112 2.2: an empty line before a request is to be ignored.
            while (taken < bytes.size() && (bytes[taken] == '\r' || bytes[taken] == '\n')) ++taken;
            bytes.remove_prefix(taken);
        }
        // Beast 1.81 asserts (and so would end the process) when it is called again with less than
        // the last chunk, after it has seen that chunk's first line.
        if (bytes.empty() ||
            (sink->is_header_done() && sink->chunked() && bytes.size() < kLastChunkBytes)) {
            return taken;
        }
        beast::error_code error;
        taken += sink->put(boost::asio::buffer(bytes), error);
        if (sink->is_header_done() && !header_checked) check_header();
        if (error && error != beast::http::error::need_more && !refusal) refuse(error);
        return taken;
    }

    void refuse(int status, std::string_view why) { refusal = Refusal{status, std::string(why)}; }

    const Limits limits;
    Request request{Deadline(Deadline::Clock::time_point::min())};
    std::optional<Sink> sink;
    std::optional<Refusal> refusal;
    bool header_checked = false;

private:
    // What Beast lets pass.
    void check_header() {
        header_checked = true;
        // Beast looks at the last word only, and would hand on a body that is still gzip.
        if (const auto encodings = request.headers.count("Transfer-Encoding"); encodings > 0) {
            const bool is_chunked =
                encodings == 1 && same_name(*request.headers.find("Transfer-Encoding"), "chunked");
            if (!is_chunked || !sink->chunked() || sink->version < 11) {
                return refuse(400, "the only Transfer-Encoding is chunked, with HTTP/1.1");
            }
        }
        const auto hosts = request.headers.count("Host");
        if (hosts > 1 || (hosts == 0 && sink->version >= 11)) {
            return refuse(400, "HTTP/1.1 needs exactly one Host header");
        }
        const auto expect = request.headers.find("Expect");
        if (expect && !same_name(*expect, "100-continue")) {
            return refuse(417, "the only expectation is 100-continue");
        }
        const std::string target = std::move(request.target);
        if (auto set = request.set_target(target); !set) refuse(400, set.error().what());
    }

    void refuse(beast::error_code error) {
        if (error == beast::http::error::body_limit) {
            return refuse(
                413, "the body is larger than " + std::to_string(limits.body_bytes_max) + " bytes"
            );
        }
        if (error == beast::http::error::header_limit) {
            return refuse(
                431,
                "the headers are larger than " + std::to_string(limits.header_bytes_max) + " bytes"
            );
        }
        refuse(400, "malformed HTTP request: " + error.message());
    }
};

RequestParser::RequestParser(Limits limits) : impl_(std::make_unique<Impl>(limits)) {
    begin(Deadline(Deadline::Clock::time_point::min()));
}

RequestParser::~RequestParser() = default;

void RequestParser::begin(Deadline until) {
    impl_->begin(until);
}

std::size_t RequestParser::feed(std::string_view bytes) {
    return impl_->feed(bytes);
}

bool RequestParser::started() const noexcept {
    return impl_->sink->got_some();
}

bool RequestParser::finished() const noexcept {
    return impl_->refusal.has_value() || impl_->sink->is_done();
}

bool RequestParser::keep_alive() const noexcept {
    return !impl_->refusal && impl_->sink->keep_alive();
}

bool RequestParser::is_http_1_0() const noexcept {
    return impl_->sink->is_header_done() && impl_->sink->version < 11;
}

bool RequestParser::wants_continue() const noexcept {
    return !finished() && impl_->sink->is_header_done() && impl_->sink->version >= 11 &&
           impl_->request.headers.count("Expect") > 0;
}

const std::optional<RequestParser::Refusal>& RequestParser::refusal() const noexcept {
    return impl_->refusal;
}

void RequestParser::refuse(int status, std::string_view why) {
    impl_->refuse(status, why);
}

Request& RequestParser::request() noexcept {
    return impl_->request;
}

}  // namespace txstream::http::detail
