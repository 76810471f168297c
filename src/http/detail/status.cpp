#include "http/detail/status.hpp"

namespace txstream::http::detail {

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

std::string_view code_word(int status) noexcept {
    switch (status) {
        case 400:
            return "invalid";
        case 401:
            return "unauthorized";
        case 403:
            return "forbidden";
        case 404:
            return "not_found";
        case 405:
            return "method_not_allowed";
        case 408:
        case 504:
            return "timed_out";
        case 413:
        case 414:
        case 431:
            return "too_large";
        case 415:
            return "unsupported_media_type";
        case 417:
        case 501:
            return "not_supported";
        case 429:
            return "too_many_requests";
        case 503:
            return "unavailable";
        default:
            return status < 500 ? "refused" : "internal";
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

}  // namespace txstream::http::detail
