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
/// Not Beast's parser: that of Boost 1.81 counts only the bytes it has not consumed against its
/// header limit, takes continued headers, bare line feeds and "Content-Length: 5, 5", ends the
/// process when a last chunk comes in pieces, and hands on trailers as headers. To refuse all that
/// in front of it needs the same grammar once more.
class RequestParser {
public:
    struct Limits {
        HeadLimits head;
        std::size_t body_bytes_max;
    };

    explicit RequestParser(Limits limits) : limits_(limits) {}

    /// Forgets the request before. `until` is the deadline of the next.
    void begin(Deadline until);
    /// Takes bytes that follow those taken before and returns how many it took. What it left of an
    /// unfinished request is an incomplete head, not longer than its limit: call again with more
    /// behind it. What it left of a finished one belongs to the next.
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
