#include "console/json.hpp"

#include "base/utf8.hpp"
#include "domain/timestamp.hpp"
#include "http/problem.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>
#include <openssl/evp.h>

namespace txstream::console {

namespace {

constexpr std::size_t kCursorBytesMax = 7168;

std::optional<std::string> from_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::string bytes(3 * text.size() / 4, '\0');
    const int size = EVP_DecodeBlock(
        reinterpret_cast<unsigned char*>(bytes.data()),
        reinterpret_cast<const unsigned char*>(text.data()),
        static_cast<int>(text.size())
    );
    if (size < 0) return std::nullopt;
    const auto padding =
        std::ranges::count(text.substr(text.size() - std::min(text.size(), std::size_t{2})), '=');
    bytes.resize(static_cast<std::size_t>(size) - static_cast<std::size_t>(padding));
    return bytes;
}

std::string_view title_of(int status) {
    switch (status) {
        case 400:
            return "The request cannot be understood";
        case 401:
            return "A token is needed";
        case 403:
            return "Not allowed";
        case 404:
            return "Not found";
        case 409:
            return "Not in this state";
        case 429:
            return "Too many";
        case 501:
            return "Not supported";
        case 503:
            return "Not available";
        case 504:
            return "No answer in time";
        default:
            return "It did not work";
    }
}

std::string_view word_of(Code code) {
    switch (code) {
        case Code::invalid_input:
            return "invalid";
        case Code::unavailable:
            return "unavailable";
        default:
            return to_string(code);
    }
}

}  // namespace

http::Response ok(const Json& body) {
    return http::json(200, body.dump());
}

http::Response problem(
    int status, std::string_view code, std::string_view detail, const Json& members
) {
    Json body{
        {"type", fmt::format("urn:txstream:problem:{}", code)},
        {"title", title_of(status)},
        {"status", status},
        {"code", code},
        {"detail", detail}
    };
    body.update(members);
    // Errors of brokers and servers are bytes of any kind.
    http::Response response(
        status,
        "application/problem+json",
        body.dump(-1, ' ', false, Json::error_handler_t::replace)
    );
    if (status == 503 || status == 429) response.with("Retry-After", "1");
    return response;
}

http::Response problem(int status, std::string_view code, std::string_view detail) {
    return problem(status, code, detail, Json::object());
}

http::Response invalid(std::string_view field, std::string_view detail) {
    return problem(400, "invalid", detail, Json{{"field", field}});
}

http::Response problem_of(const Error& error) {
    auto response = problem(http::status_of(error.code()), word_of(error.code()), error.what());
    if (response.status >= 500) response.failure = error.what();
    return response;
}

Json number(std::int64_t value) {
    return std::to_string(value);
}

Json number(std::uint64_t value) {
    return std::to_string(value);
}

Json count(std::uint64_t value, bool is_exact) {
    return Json{{"value", number(value)}, {"exact", is_exact}};
}

Json stored_object(std::string_view text) {
    auto json = Json::parse(text, nullptr, false);
    return json.is_object() ? json : Json::object();
}

std::string rfc3339(domain::Timestamp time) {
    std::string text;
    // 'infinity' and the years that RFC 3339 cannot express.
    if (!domain::has_rfc3339(time)) return "9999-12-31T23:59:59.999999Z";
    domain::append_rfc3339(text, time);
    return text;
}

Json time_or_null(std::optional<domain::Timestamp> time) {
    return time ? Json(rfc3339(*time)) : Json(nullptr);
}

Json bytes(std::string_view text, std::size_t shown_max, std::optional<std::uint64_t> size) {
    const auto total = size.value_or(text.size());
    Json shown;
    std::size_t taken = 0;
    if (const auto prefix = utf8_prefix(text, shown_max, total > text.size())) {
        taken = prefix->size();
        shown = Json{{"encoding", "utf8"}, {"data", *prefix}};
    } else {
        const auto part = text.substr(0, shown_max);
        taken = part.size();
        shown = Json{{"encoding", "base64"}, {"data", base64(part)}};
    }
    shown["size"] = number(static_cast<std::uint64_t>(total));
    shown["truncated"] = taken < total;
    return shown;
}

std::optional<std::string_view> utf8_prefix(
    std::string_view text, std::size_t size_max, bool is_beginning
) {
    constexpr std::size_t kCharacterMax = 4;
    std::size_t at = 0;
    while (at < text.size() && at < size_max) {
        if (static_cast<unsigned char>(text[at]) < 0x80) {
            ++at;
            continue;
        }
        const auto length = utf8_length(text.substr(at));
        const bool may_be_cut = is_beginning && text.size() - at < kCharacterMax;
        if (length == 0 && !may_be_cut) return std::nullopt;
        if (length == 0 || at + length > size_max) break;
        at += length;
    }
    return text.substr(0, at);
}

std::string base64(std::string_view bytes) {
    std::string text(4 * ((bytes.size() + 2) / 3), '\0');
    EVP_EncodeBlock(
        reinterpret_cast<unsigned char*>(text.data()),
        reinterpret_cast<const unsigned char*>(bytes.data()),
        static_cast<int>(bytes.size())
    );
    return text;
}

std::string cursor_of(const Json& position) {
    auto text = base64(position.dump());
    std::ranges::replace(text, '+', '-');
    std::ranges::replace(text, '/', '_');
    text.erase(text.find_last_not_of('=') + 1);
    return text;
}

Result<Json> read_cursor(std::string_view cursor) {
    const auto refused = [] {
        return fail(
            Code::invalid_input, "cursor is none that this console gave; leave it out to begin"
        );
    };
    if (cursor.size() > kCursorBytesMax) return refused();
    std::string text(cursor);
    std::ranges::replace(text, '-', '+');
    std::ranges::replace(text, '_', '/');
    text.append((4 - text.size() % 4) % 4, '=');
    const auto decoded = from_base64(text);
    if (!decoded) return refused();
    auto position = Json::parse(*decoded, nullptr, false);
    if (position.is_discarded()) return refused();
    return position;
}

Result<std::int64_t> query_number(
    const http::Request& request,
    std::string_view name,
    std::int64_t least,
    std::int64_t most,
    std::int64_t standard
) {
    const auto text = request.query(name);
    if (!text) return standard;
    std::int64_t value = 0;
    const auto* const last = text->data() + text->size();
    const auto [end, error] = std::from_chars(text->data(), last, value);
    if (error != std::errc() || end != last || value < least || value > most)
        return fail(
            Code::invalid_input,
            fmt::format("{} is a whole number from {} to {}", name, least, most)
        );
    return value;
}

}  // namespace txstream::console
