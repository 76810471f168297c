#include "app/detail/database_url.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

namespace txstream::app {
namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const int high = hex_digit(text[i + 1]);
        const int low = hex_digit(text[i + 2]);
        if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

// Cuts `text` at the first `mark` and returns what stood before it.
std::string_view take_until(std::string_view& text, char mark, bool& found) {
    const std::size_t at = text.find(mark);
    found = at != std::string_view::npos;
    const std::string_view before = text.substr(0, at);
    text = found ? text.substr(at + 1) : std::string_view();
    return before;
}

tl::unexpected<std::string> complaint(std::string what) {
    return tl::unexpected<std::string>(std::move(what));
}

// What libpq 15 knows beyond the names above, but for what would make the session something else
// (replication) or take the place of what was said (service).
constexpr std::array<std::string_view, 28> kParameters{
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "fallback_application_name",
    "gssencmode",
    "gsslib",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "options",
    "passfile",
    "requirepeer",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslpassword",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout"
};

// A name that is none cannot be shown: it may be part of a password.
std::string unknown(std::string_view parameter) {
    const bool is_name = !parameter.empty() && std::ranges::all_of(parameter, [](char c) {
        return (c >= 'a' && c <= 'z') || c == '_';
    });
    return is_name ? fmt::format("has the parameter {}, which libpq does not know", parameter)
                   : "has a parameter that libpq does not know";
}

constexpr const char* kBadEscape = "holds a % that is not followed by two hexadecimal digits";

// One host[:port], the host maybe in brackets.
std::optional<std::string> add_host(std::string_view text, DatabaseUrl& url, bool is_first) {
    std::string_view host = text;
    std::string_view port;
    if (text.starts_with('[')) {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos) return "has an address whose [ is not closed";
        host = text.substr(1, close - 1);
        const std::string_view rest = text.substr(close + 1);
        if (!rest.empty() && !rest.starts_with(':')) return "has something between ] and the port";
        if (!rest.empty()) port = rest.substr(1);
    } else if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) {
        host = text.substr(0, colon);
        port = text.substr(colon + 1);
    }
    for (const char c : port) {
        if (c < '0' || c > '9') {
            return "has a port that is no number (a password with : / ? # [ ] @ must have them as "
                   "%3A %2F …)";
        }
    }
    const auto decoded = percent_decoded(host);
    if (!decoded) return kBadEscape;
    if (!is_first) {
        url.host += ',';
        url.port += ',';
    }
    url.host += *decoded;
    url.port += port;
    return std::nullopt;
}

}  // namespace

tl::expected<DatabaseUrl, std::string> parse_database_url(std::string_view url) {
    constexpr std::string_view kShort = "postgres://";
    constexpr std::string_view kLong = "postgresql://";
    if (url.starts_with(kShort)) {
        url.remove_prefix(kShort.size());
    } else if (url.starts_with(kLong)) {
        url.remove_prefix(kLong.size());
    } else {
        return complaint("does not begin with postgres:// or postgresql://");
    }
    DatabaseUrl result;
    bool found = false;
    std::string_view query = url;
    std::string_view before_query = take_until(query, '?', found);
    std::string_view path = before_query;
    std::string_view authority = take_until(path, '/', found);
    if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
        std::string_view password = authority.substr(0, at);
        const std::string_view user = take_until(password, ':', found);
        const auto decoded_user = percent_decoded(user);
        const auto decoded_password = percent_decoded(password);
        if (!decoded_user || !decoded_password) return complaint(kBadEscape);
        result.user = *decoded_user;
        result.password = *decoded_password;
        authority.remove_prefix(at + 1);
    }
    bool more = !authority.empty();
    for (bool is_first = true; more; is_first = false) {
        const std::string_view host = take_until(authority, ',', more);
        if (auto wrong = add_host(host, result, is_first)) return complaint(*std::move(wrong));
    }
    // "h1,h2" without ports: one empty port for all, as libpq has it.
    if (result.port.find_first_not_of(',') == std::string::npos) result.port.clear();
    // Then a / or ? of the password ended it, and what follows is the rest of the password.
    if (path.find('@') != std::string_view::npos || query.find('@') != std::string_view::npos)
        return complaint(
            "has an @ behind the host; in a password / ? # @ must be written %2F %3F %23 %40, "
            "elsewhere @ is %40"
        );
    const auto name = percent_decoded(path);
    if (!name) return complaint(kBadEscape);
    result.name = *name;

    more = !query.empty();
    while (more) {
        std::string_view value = take_until(query, '&', more);
        const std::string_view key = take_until(value, '=', found);
        if (!found) return complaint("has a parameter without =");
        const auto decoded_key = percent_decoded(key);
        const auto decoded = percent_decoded(value);
        if (!decoded_key || !decoded) return complaint(kBadEscape);
        // libpq's names, and JDBC's for TLS.
        if (*decoded_key == "host") {
            result.host = *decoded;
        } else if (*decoded_key == "port") {
            result.port = *decoded;
        } else if (*decoded_key == "user") {
            result.user = *decoded;
        } else if (*decoded_key == "password") {
            result.password = *decoded;
        } else if (*decoded_key == "dbname") {
            result.name = *decoded;
        } else if (*decoded_key == "sslmode") {
            result.ssl_mode = *decoded;
        } else if (*decoded_key == "ssl" && *decoded == "true") {
            result.ssl_mode = "require";
        } else if (std::ranges::find(kParameters, *decoded_key) == kParameters.end()) {
            return complaint(unknown(*decoded_key));
        } else {
            result.parameters[*decoded_key] = *decoded;
        }
    }
    return result;
}

}  // namespace txstream::app
