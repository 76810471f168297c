#pragma once

#include "http/request.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace txstream::http::detail {

/// Turns bytes into requests, one after the other. Refuses what is malformed, larger than the
/// limits, or could be read in two ways by two servers (request smuggling).
class RequestParser {
public:
    struct Limits {
        std::size_t header_bytes_max;
        std::size_t body_bytes_max;
    };
    /// Why the request cannot be served; the connection cannot go on after it.
    struct Refusal {
        int status;
        std::string text;
    };

    explicit RequestParser(Limits limits);
    ~RequestParser();

    /// Forgets the request before. `until` is the deadline of the next.
    void begin(Deadline until);
    /// Takes bytes that follow those taken before and returns how many it took. The rest belongs
    /// to a later call, then with more behind it, or to the next request.
    std::size_t feed(std::string_view bytes);

    bool started() const noexcept;   ///< a byte of this request has come
    bool finished() const noexcept;  ///< complete or refused
    bool keep_alive() const noexcept;
    bool is_http_1_0() const noexcept;
    /// The client waits for "100 Continue" before it sends the body.
    bool wants_continue() const noexcept;
    const std::optional<Refusal>& refusal() const noexcept;
    void refuse(int status, std::string_view why);
    /// The request as far as it came.
    Request& request() noexcept;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace txstream::http::detail
