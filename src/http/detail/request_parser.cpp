#include "http/detail/request_parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace txstream::http::detail {
namespace {

// A client may announce more than it sends; memory follows what has come.
constexpr std::size_t kBodyReserveMax = 16 * 1024;

}  // namespace

void RequestParser::begin(Deadline until) {
    request_ = Request(until);
    scan_ = HeadScan(limits_.head);
    framing_ = Framing();
    chunked_ = ChunkedBody(limits_.head, limits_.body_bytes_max);
    refusal_.reset();
    has_head_ = is_complete_ = false;
}

std::size_t RequestParser::feed(std::string_view bytes) {
    std::size_t taken = 0;
    if (!has_head_) {
        const auto length = scan_.look(bytes);
        if (scan_.refusal()) refusal_ = scan_.refusal();
        if (!length) return 0;
        take_head(bytes.substr(0, *length));
        taken = *length;
    }
    if (!finished()) taken += feed_body(bytes.substr(taken));
    return taken;
}

void RequestParser::take_head(std::string_view head) {
    has_head_ = true;
    refusal_ = parse_head(head, request_, framing_);
    if (refusal_) return;
    if (framing_.body_bytes > limits_.body_bytes_max) {
        refusal_ =
            Refusal{413, fmt::format("the body is larger than {} bytes", limits_.body_bytes_max)};
        return;
    }
    is_complete_ = !has_body();
    request_.body.reserve(
        static_cast<std::size_t>(std::min<std::uint64_t>(framing_.body_bytes, kBodyReserveMax))
    );
}

std::size_t RequestParser::feed_body(std::string_view bytes) {
    if (framing_.is_chunked) {
        const auto taken = chunked_.feed(bytes, request_.body);
        refusal_ = chunked_.refusal();
        is_complete_ = chunked_.is_complete();
        return taken;
    }
    const auto left = static_cast<std::size_t>(framing_.body_bytes) - request_.body.size();
    const auto part = bytes.substr(0, left);
    request_.body += part;
    is_complete_ = part.size() == left;
    return part.size();
}

}  // namespace txstream::http::detail
