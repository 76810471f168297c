#pragma once

#include "base/error.hpp"
#include "http/request.hpp"
#include "http/response.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// What every route of the console says in the same way. The shapes are those of openapi.yaml.
namespace txstream::console {

using Json = nlohmann::ordered_json;

/// Texts that are no UTF-8 are a bug of the caller: bytes() is for those.
http::Response ok(const Json& body);

/// RFC 9457. `code` is a word for programs, `detail` says to people what is wrong and what to do.
http::Response problem(int status, std::string_view code, std::string_view detail);
/// Of one parameter, which it names.
http::Response invalid(std::string_view field, std::string_view detail);
/// With members of its own beside the standard ones.
http::Response problem(
    int status, std::string_view code, std::string_view detail, const Json& members
);
/// Of a failure of PostgreSQL or Kafka: what() is shown, since who reads it operates the system.
http::Response problem_of(const Error& error);

/// 64-bit integers are strings: a page's numbers end at 2^53.
Json number(std::int64_t value);
Json number(std::uint64_t value);
Json count(std::uint64_t value, bool is_exact);
/// Of a column of JSON text: {} where it is no object that a program can read, as with a number
/// that is too large for any.
Json stored_object(std::string_view text);
/// RFC 3339 in UTC, with microseconds.
std::string rfc3339(std::chrono::sys_time<std::chrono::microseconds> time);
Json time_or_null(std::optional<std::chrono::sys_time<std::chrono::microseconds>> time);
/// `text` as UTF-8 where it is that, else as base64; at most `shown_max` bytes of it (fewer, so
/// that no character is cut). `size` is that of the whole, where `text` is only its beginning.
Json bytes(
    std::string_view text, std::size_t shown_max, std::optional<std::uint64_t> size = std::nullopt
);

std::string base64(std::string_view bytes);
/// The longest beginning of at most `size_max` bytes that ends between two characters; nothing
/// where it is no UTF-8. Of a text that is only the beginning of another, the last character may be
/// cut.
std::optional<std::string_view> utf8_prefix(
    std::string_view text, std::size_t size_max, bool is_beginning
);

/// Where a list goes on: a small JSON value, base64url. Code::invalid_input names the parameter.
std::string cursor_of(const Json& position);
Result<Json> read_cursor(std::string_view cursor);

/// A whole number of the query within its limits, or the standard value.
Result<std::int64_t> query_number(
    const http::Request& request,
    std::string_view name,
    std::int64_t least,
    std::int64_t most,
    std::int64_t standard
);

}  // namespace txstream::console
