#pragma once

#include "base/error.hpp"
#include "http/response.hpp"

#include <string_view>

namespace txstream::http {

/// The one table from our failures to HTTP.
int status_of(Code code) noexcept;

/// 4xx: `{"error":"<what>"}`. 5xx: what() goes to the log only, the client gets the standard body.
/// 503 carries Retry-After.
Response problem(const Error& error);

/// A refusal in our own words, which the client sees.
Response problem(int status, std::string_view error);

/// The same as RFC 9457 has it: type, title, status, detail, and our code (a word for programs) and
/// request_id. The type is always about:blank, so the title is the status's phrase.
Response problem_details(
    int status, std::string_view code, std::string_view what, std::string_view request_id
);

}  // namespace txstream::http
