#pragma once

#include "http/detail/chunked_body.hpp"
#include "http/detail/request_head.hpp"
#include "http/request.hpp"

#include <cstddef>
#include <optional>
#include <string_view>

namespace txstream::http::detail {

/// Turns bytes into requests, one after the other. Refuses what is malformed, larger than the
/// limits, or could be read in two ways by two servers (request smuggling).
///
/// Boost.Beast 1.81 is not used: it counts only unconsumed bytes against its header limit, accepts
/// continued headers and "Content-Length: 5, 5", asserts when the last chunk arrives in pieces, and
/// reports trailers as headers. Checking all this in front of Beast needs the same grammar again.
class RequestParser {
public:
    struct Limits {
        HeadLimits head;
        std::size_t body_bytes_max;
    };

    explicit RequestParser(Limits limits) : limits_(limits) {}

    /// Forgets the request before. `until` is the deadline of the next.
    void begin(Deadline until);
    /// Consumes bytes that follow those consumed before and returns how many. If the request is
    /// unfinished, the rest is an incomplete head within its limit: call again with that rest and
    /// more. If it is finished, the rest belongs to the next request.
    std::size_t feed(std::string_view bytes);

    bool started() const noexcept { return has_head_ || scan_.has_text(); }
    bool has_head() const noexcept { return has_head_; }
    bool finished() const noexcept { return refusal_.has_value() || is_complete_; }
    bool keep_alive() const noexcept { return !refusal_ && framing_.keep_alive; }
    bool is_http_1_0() const noexcept { return framing_.is_http_1_0; }
    /// Of the request whose head has come.
    bool has_body() const noexcept { return framing_.is_chunked || framing_.body_bytes > 0; }
    /// The client waits for "100 Continue" before it sends the body.
    bool wants_continue() const noexcept {
        return !finished() && has_head_ && framing_.expects_continue;
    }
    const std::optional<Refusal>& refusal() const noexcept { return refusal_; }
    void refuse(Refusal refusal) { refusal_ = std::move(refusal); }
    /// The request as far as it came.
    Request& request() noexcept { return request_; }

private:
    void take_head(std::string_view head);
    std::size_t feed_body(std::string_view bytes);

    Limits limits_;
    Request request_{Deadline(Deadline::Clock::time_point::min())};
    HeadScan scan_{limits_.head};
    Framing framing_;
    ChunkedBody chunked_{limits_.head, limits_.body_bytes_max};
    std::optional<Refusal> refusal_;
    bool has_head_ = false;
    bool is_complete_ = false;
};

}  // namespace txstream::http::detail
