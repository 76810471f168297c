#include "http/detail/request_head.hpp"

#include "base/text.hpp"
#include "http/detail/authority.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>
#include <utility>

namespace txstream::http::detail {
namespace {

// Headers that must not repeat: two servers may each use a different value.
constexpr std::array<std::string_view, 7> kSingle = {
    "Host",
    "Content-Length",
    "Content-Type",
    "Content-Encoding",
    "Transfer-Encoding",
    "Expect",
    "Origin"
};

Refusal malformed(std::string_view why) {
    return {400, fmt::format("malformed HTTP request: {}", why)};
}

bool is_alnum(char c) noexcept {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_token(std::string_view text) noexcept {
    constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
        return is_alnum(c) || kMarks.find(c) != std::string_view::npos;
    });
}

Method method_of(std::string_view name) noexcept {
    for (const auto method :
         {Method::get,
          Method::head,
          Method::post,
          Method::put,
          Method::patch,
          Method::delete_,
          Method::options}) {
        if (name == to_string(method)) return method;
    }
    return Method::other;
}

// Cuts off and returns what precedes CRLF, which must be there.
std::string_view next_line(std::string_view& head) {
    const auto end = std::min(head.find("\r\n"), head.size());
    const auto line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    return line;
}

std::optional<Refusal> parse_request_line(
    std::string_view line, Request& request, Framing& framing
) {
    const auto first = line.find(' ');
    const auto last = line.rfind(' ');
    if (first == std::string_view::npos || first == last)
        return malformed("the first line is not METHOD TARGET VERSION");
    const auto method = line.substr(0, first);
    const auto target = line.substr(first + 1, last - first - 1);
    const auto version = line.substr(last + 1);
    if (!is_token(method)) return malformed("the method has a character that is not allowed");
    if (version != "HTTP/1.1" && version != "HTTP/1.0")
        return malformed("the version is neither HTTP/1.1 nor HTTP/1.0");
    request.method = method_of(method);
    request.target = target;
    framing.is_http_1_0 = version == "HTTP/1.0";
    return std::nullopt;
}

std::optional<Refusal> check_length(std::string_view text, Framing& framing) {
    const auto* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, framing.body_bytes);
    // from_chars of an unsigned number takes digits only, no sign and no space.
    if (text.empty() || rest != end) return malformed("Content-Length is not one number");
    if (error == std::errc::result_out_of_range) framing.body_bytes = ~std::uint64_t{0};
    return std::nullopt;
}

// Of the words that Connection lists.
bool lists(std::string_view values, std::string_view word) {
    while (!values.empty()) {
        const auto end = std::min(values.find(','), values.size());
        if (same_word(trimmed(values.substr(0, end)), word)) return true;
        values.remove_prefix(std::min(end + 1, values.size()));
    }
    return false;
}

std::optional<Refusal> check_body_framing(const Headers& headers, Framing& framing) {
    const auto encoding = headers.find("Transfer-Encoding");
    const auto length = headers.find("Content-Length");
    if (encoding && length) return malformed("it has both Transfer-Encoding and Content-Length");
    if (encoding) {
        if (framing.is_http_1_0 || !same_word(*encoding, "chunked"))
            return Refusal{400, "the only Transfer-Encoding is chunked, with HTTP/1.1"};
        framing.is_chunked = true;
    }
    if (length) return check_length(*length, framing);
    return std::nullopt;
}

std::optional<Refusal> check_headers(const Headers& headers, Framing& framing) {
    for (const auto name : kSingle) {
        if (headers.count(name) > 1)
            return Refusal{400, fmt::format("the header {} is given more than once", name)};
    }
    const auto host = headers.find("Host");
    if (!host && !framing.is_http_1_0)
        return Refusal{400, "HTTP/1.1 needs exactly one Host header"};
    if (host && !parse_authority(*host))
        return Refusal{
            400, "the Host header is not a host name or address, with or without a port"
        };
    if (auto refusal = check_body_framing(headers, framing)) return refusal;
    if (const auto expect = headers.find("Expect")) {
        if (!same_word(*expect, "100-continue"))
            return Refusal{417, "the only expectation is 100-continue"};
        // RFC 9110, 10.1.1: a client of HTTP/1.0 does not understand the answer.
        framing.expects_continue = !framing.is_http_1_0;
    }
    const auto coding = headers.find("Content-Encoding");
    if (coding && !coding->empty() && !same_word(*coding, "identity"))
        return Refusal{415, "the body must not be encoded: Content-Encoding is identity or absent"};
    return std::nullopt;
}

}  // namespace

std::optional<std::size_t> HeadScan::look(std::string_view head) {
    if (refusal_) return std::nullopt;
    const auto visible = std::min(head.size(), limits_.bytes_max);
    while (seen_ < visible) {
        const char byte = head[seen_++];
        if (after_cr_) {
            if (byte != '\n')
                return refuse(400, "malformed HTTP request: a carriage return without a line feed");
            after_cr_ = false;
            if (line_bytes_ == 0 && lines_ > 0) return seen_;
            end_line();
        } else if (byte == '\r') {
            after_cr_ = true;
        } else {
            count_text(byte);
        }
        if (refusal_) return std::nullopt;
    }
    if (head.size() <= limits_.bytes_max) return std::nullopt;
    if (lines_ == 0 && spaces_ > 0)
        return refuse(
            414, fmt::format("the request line is longer than {} bytes", limits_.bytes_max)
        );
    return refuse(431, fmt::format("the headers are larger than {} bytes", limits_.bytes_max));
}

void HeadScan::end_line() {
    if (line_bytes_ == 0) return;
    line_bytes_ = 0;
    // The first line is the request's.
    if (lines_++ == limits_.fields_max)
        refuse(431, fmt::format("there are more than {} headers", limits_.fields_max));
}

void HeadScan::count_text(char byte) {
    const auto code = static_cast<unsigned char>(byte);
    if (byte == '\n') {
        refuse(400, "malformed HTTP request: a line feed without a carriage return");
        return;
    }
    if ((code < 0x20 && byte != '\t') || code == 0x7f) {
        refuse(400, "malformed HTTP request: a control character in the head");
        return;
    }
    ++line_bytes_;
    if (lines_ > 0) return;
    if (byte == ' ') {
        ++spaces_;
    } else if (spaces_ == 1 && ++target_bytes_ > limits_.target_bytes_max) {
        refuse(414, fmt::format("the target is longer than {} bytes", limits_.target_bytes_max));
    }
}

std::optional<std::size_t> HeadScan::refuse(int status, std::string text) {
    refusal_ = Refusal{status, std::move(text)};
    return std::nullopt;
}

Field parse_field(std::string_view line) {
    if (line.front() == ' ' || line.front() == '\t')
        return {{}, {}, "a header is continued in a second line"};
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return {{}, {}, "a header line has no colon"};
    const auto name = line.substr(0, colon);
    if (!is_token(name)) return {{}, {}, "a header's name has a character that is not allowed"};
    return {name, trimmed(line.substr(colon + 1)), {}};
}

std::optional<Refusal> parse_head(std::string_view head, Request& request, Framing& framing) {
    auto line = next_line(head);
    while (line.empty()) line = next_line(head);
    auto refusal = parse_request_line(line, request, framing);
    // Headers are read even after a refusal: the log line needs the client's X-Request-Id.
    for (line = next_line(head); !line.empty(); line = next_line(head)) {
        const auto field = parse_field(line);
        if (field.complaint.empty()) {
            request.headers.add(field.name, field.value);
        } else if (!refusal) {
            refusal = malformed(field.complaint);
        }
    }
    if (!refusal) refusal = check_headers(request.headers, framing);
    if (refusal) return refusal;
    bool close = false;
    bool keep = !framing.is_http_1_0;
    request.headers.each("Connection", [&](std::string_view words) {
        close = close || lists(words, "close");
        keep = keep || lists(words, "keep-alive");
    });
    framing.keep_alive = keep && !close;
    // An unknown method may have a target of any form, so it is rejected for its name.
    const std::string target = std::move(request.target);
    if (auto set = request.set_target(target); !set) {
        if (request.method == Method::other)
            return Refusal{501, "this server does not know the method"};
        return Refusal{400, set.error().what()};
    }
    return std::nullopt;
}

}  // namespace txstream::http::detail
