#pragma once

#include "http/request.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace txstream::http::detail {

/// Why a request cannot be served; the connection closes after the answer.
struct Refusal {
    int status;
    std::string text;
};

struct HeadLimits {
    std::size_t bytes_max;         ///< 431, for trailers and chunk extensions too
    std::size_t target_bytes_max;  ///< 414
    std::size_t fields_max;        ///< 431, for trailers too
};

/// Finds the end of a head. Counts every byte, however the head is split into packets, and rejects
/// a forbidden byte as soon as it arrives. Looks at each byte once.
class HeadScan {
public:
    explicit HeadScan(const HeadLimits& limits) : limits_(limits) {}

    /// `head` begins with the first byte of the head at each call and has more bytes than before.
    /// Returns the length of the head, with its empty line, when it is complete.
    std::optional<std::size_t> look(std::string_view head);

    const std::optional<Refusal>& refusal() const noexcept { return refusal_; }
    /// More than the empty lines that may precede a request (RFC 9112, 2.2).
    bool has_text() const noexcept { return lines_ > 0 || line_bytes_ > 0; }

private:
    void end_line();
    void count_text(char byte);
    std::optional<std::size_t> refuse(int status, std::string text);

    HeadLimits limits_;
    std::optional<Refusal> refusal_;
    std::size_t seen_ = 0;
    std::size_t lines_ = 0;         ///< complete ones that are not empty
    std::size_t line_bytes_ = 0;    ///< of the line that has begun
    std::size_t target_bytes_ = 0;  ///< what has come of the request line's second word
    std::size_t spaces_ = 0;        ///< in the request line
    bool after_cr_ = false;
};

/// How the rest of a request is to be read.
struct Framing {
    bool is_http_1_0 = false;
    bool keep_alive = false;
    bool is_chunked = false;
    bool expects_continue = false;
    std::uint64_t body_bytes = 0;  ///< Content-Length; 0 without one
};

/// Fills in method, target, and headers from a complete head. Refuses what the grammar of RFC 9112
/// does not allow, and what two servers could read in two ways (request smuggling).
std::optional<Refusal> parse_head(std::string_view head, Request& request, Framing& framing);

/// Name and value of a header or trailer line; the reason if it is none.
struct Field {
    std::string_view name;
    std::string_view value;
    std::string_view complaint;
};
Field parse_field(std::string_view line);

}  // namespace txstream::http::detail
