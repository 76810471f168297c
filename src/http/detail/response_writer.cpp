#include "http/detail/response_writer.hpp"

#include "base/text.hpp"
#include "http/detail/status.hpp"
#include "http/problem.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <utility>

namespace txstream::http::detail {
namespace {

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

bool has_header(const Response& response, std::string_view name) noexcept {
    return std::any_of(
        response.headers.begin(),
        response.headers.end(),
        [name](const auto& header) { return same_word(header.first, name); }
    );
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

void complete(Response& response, std::string_view request_id, Problems problems) {
    if (response.status < 500 || !response.body.empty()) return;
    const auto text = standard_text(response.status);
    if (problems == Problems::details) {
        auto details =
            problem_details(response.status, code_word(response.status), text, request_id);
        response.content_type = std::move(details.content_type);
        response.body = std::move(details.body);
        return;
    }
    response.content_type = "application/json";
    response.body =
        "{\"error\":" + json_string(text) + ",\"request_id\":" + json_string(request_id) + "}";
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
    if (departure.always != nullptr) {
        for (const auto& [name, value] : *departure.always) {
            // What caches must tell apart adds up; of all else the response knows better.
            if (same_word(name, "Vary") || !has_header(response, name))
                append_header(out, name, value);
        }
    }
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
