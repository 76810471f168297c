#pragma once

#include "http/options.hpp"
#include "http/response.hpp"

#include <ctime>
#include <string>
#include <string_view>

namespace txstream::http::detail {

/// How the response leaves, which its handler does not decide.
struct Departure {
    bool close = false;
    bool is_http_1_0 = false;
    bool without_body = false;  ///< HEAD: the length is told, the bytes are not sent
    bool is_stream = false;     ///< the length is unknown: in chunks, or until the connection ends
    const ExtraHeaders* always = nullptr;  ///< of every response of the server
    std::string_view request_id;
    std::time_t now = 0;
};

/// Gives a failure without a body the standard one.
void complete(Response& response, std::string_view request_id, Problems problems);

/// Appends status line and headers to `out`. Returns whether the body follows.
bool write_head(std::string& out, const Response& response, const Departure& departure);

}  // namespace txstream::http::detail
