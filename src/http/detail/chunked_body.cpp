#include "http/detail/chunked_body.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace txstream::http::detail {
namespace {

// Zeros in front are allowed, but not without end. Eight digits are 4 GiB, more than any limit.
constexpr std::size_t kSizeDigitsMax = 8;

bool is_text(char byte) noexcept {
    const auto code = static_cast<unsigned char>(byte);
    return (code >= 0x20 && code != 0x7f) || byte == '\t';
}

}  // namespace

std::size_t ChunkedBody::feed(std::string_view bytes, std::string& body) {
    std::size_t taken = 0;
    while (taken < bytes.size() && !is_complete() && !refusal_) {
        if (state_ == State::data) {
            const auto part = std::min(left_, bytes.size() - taken);
            body += bytes.substr(taken, part);
            taken += part;
            left_ -= part;
            if (left_ == 0) state_ = State::data_cr;
        } else {
            step(bytes[taken++], body);
        }
    }
    return taken;
}

void ChunkedBody::step(char byte, const std::string& body) {
    switch (state_) {
        case State::size:
            if (hex_digit(byte) >= 0) return add_digit(byte, body);
            if (digits_ == 0) return refuse(400, "a chunk's size is not hexadecimal");
            [[fallthrough]];
        case State::space:
            if (byte == '\r') {
                // Space may stand before an extension (RFC 9112, 7.1.1), and nowhere else.
                if (state_ == State::space) return refuse(400, "space behind a chunk's size");
                state_ = State::size_lf;
                return;
            }
            count_overhead();
            if (byte == ';') {
                state_ = State::extension;
            } else if (byte == ' ' || byte == '\t') {
                state_ = State::space;
            } else {
                refuse(400, "a chunk's size is not hexadecimal");
            }
            return;
        case State::extension:
            if (byte == '\r') {
                state_ = State::size_lf;
                return;
            }
            if (!is_text(byte)) return refuse(400, "a control character behind a chunk's size");
            return count_overhead();
        case State::size_lf:
            return byte == '\n' ? end_size()
                                : refuse(400, "a chunk's size ends without a line feed");
        case State::data_cr:
            state_ = State::data_lf;
            if (byte != '\r') refuse(400, "a chunk is longer than its size");
            return;
        case State::data_lf:
            state_ = State::size;
            digits_ = 0;
            if (byte != '\n') refuse(400, "a chunk is longer than its size");
            return;
        case State::trailer:
            if (byte == '\r') {
                state_ = State::trailer_lf;
                return;
            }
            if (!is_text(byte)) return refuse(400, "a control character in a trailer");
            line_ += byte;
            return count_overhead();
        case State::trailer_lf:
            state_ = State::trailer;
            return byte == '\n' ? end_trailer() : refuse(400, "a trailer ends without a line feed");
        case State::data:
        case State::complete:
            return;
    }
}

void ChunkedBody::add_digit(char byte, const std::string& body) {
    if (digits_++ == 0) left_ = 0;
    if (digits_ > kSizeDigitsMax) return refuse(400, "a chunk's size has too many digits");
    left_ = left_ * 16 + static_cast<std::size_t>(hex_digit(byte));
    if (left_ > body_bytes_max_ - body.size())
        refuse(413, fmt::format("the body is larger than {} bytes", body_bytes_max_));
}

void ChunkedBody::end_size() {
    state_ = left_ > 0 ? State::data : State::trailer;
}

void ChunkedBody::end_trailer() {
    if (line_.empty()) {
        state_ = State::complete;
        return;
    }
    const auto field = parse_field(line_);
    if (!field.complaint.empty()) return refuse(400, std::string(field.complaint) + " (trailer)");
    if (++trailers_ > limits_.fields_max)
        return refuse(431, fmt::format("there are more than {} trailers", limits_.fields_max));
    line_.clear();
}

void ChunkedBody::count_overhead() {
    if (++overhead_ <= limits_.bytes_max) return;
    if (state_ == State::trailer)
        return refuse(431, fmt::format("the trailers are larger than {} bytes", limits_.bytes_max));
    refuse(400, fmt::format("the chunk extensions are larger than {} bytes", limits_.bytes_max));
}

void ChunkedBody::refuse(int status, std::string text) {
    if (status == 400) text = "malformed chunked body: " + text;
    refusal_ = Refusal{status, std::move(text)};
}

}  // namespace txstream::http::detail
