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

}  // namespace txstream::http
