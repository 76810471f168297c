#include "http/detail/response_writer.hpp"

#include "http/detail/text.hpp"

#include <array>
#include <charconv>
#include <cstddef>

namespace txstream::http::detail {
namespace {

std::string_view reason(int status) noexcept {
    switch (status) {
        case 200:
            return "OK";
        case 201:
            return "Created";
        case 202:
            return "Accepted";
        case 204:
            return "No Content";
        case 301:
            return "Moved Permanently";
        case 302:
            return "Found";
        case 303:
            return "See Other";
        case 304:
            return "Not Modified";
        case 307:
            return "Temporary Redirect";
        case 308:
            return "Permanent Redirect";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 412:
            return "Precondition Failed";
        case 413:
            return "Content Too Large";
        case 414:
            return "URI Too Long";
        case 415:
            return "Unsupported Media Type";
        case 417:
            return "Expectation Failed";
        case 422:
            return "Unprocessable Content";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        default:
            return "Status";
    }
}

std::string_view standard_text(int status) noexcept {
    switch (status) {
        case 503:
            return "service unavailable, try again later";
        case 504:
            return "no answer in time; whether the request took effect is unknown";
        default:
            return "internal error";
    }
}

void append(std::string& out, std::size_t number) {
    std::array<char, 20> digits{};
    const auto end = std::to_chars(digits.begin(), digits.end(), number).ptr;
    out.append(digits.begin(), end);
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
    out.append(name).append(": ");
    // A value may come from a client (Location); a line break in it would begin a header of its
    // own.
    for (const char c : value) out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    out += "\r\n";
}

// "Sun, 06 Nov 1994 08:49:37 GMT", made once a second.
std::string_view date(std::time_t now) {
    thread_local std::time_t made_at = -1;
    thread_local std::array<char, 30> text{};
    if (now != made_at) {
        std::tm parts{};
        gmtime_r(&now, &parts);
        // The names of the C locale, which is the process's: nobody calls setlocale.
        std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
        made_at = now;
    }
    return text.data();
}

}  // namespace

void complete(Response& response, std::string_view request_id) {
    if (response.status < 500 || !response.body.empty()) return;
    response.content_type = "application/json";
    response.body = "{\"error\":" + json_string(standard_text(response.status)) +
                    ",\"request_id\":" + json_string(request_id) + "}";
}

bool write_head(std::string& out, const Response& response, const Departure& departure) {
    const bool may_have_body =
        response.status >= 200 && response.status != 204 && response.status != 304;
    out += "HTTP/1.1 ";
    append(out, static_cast<std::size_t>(response.status));
    out += ' ';
    out += reason(response.status);
    out += "\r\n";
    append_header(out, "Date", date(departure.now));
    if (may_have_body) {
        if (!response.content_type.empty()) {
            append_header(out, "Content-Type", response.content_type);
        }
        if (!departure.is_stream) {
            out += "Content-Length: ";
            append(out, response.body.size());
            out += "\r\n";
        } else if (!departure.is_http_1_0) {
            out += "Transfer-Encoding: chunked\r\n";
        }
    }
    if (!departure.request_id.empty()) append_header(out, "X-Request-Id", departure.request_id);
    for (const auto& [name, value] : response.headers) append_header(out, name, value);
    if (departure.close) {
        out += "Connection: close\r\n";
    } else if (departure.is_http_1_0) {
        out += "Connection: keep-alive\r\n";
    }
    out += "\r\n";
    return may_have_body && !departure.without_body && !departure.is_stream &&
           !response.body.empty();
}

}  // namespace txstream::http::detail
