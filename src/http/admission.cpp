#include "http/admission.hpp"

#include "base/text.hpp"
#include "http/detail/authority.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace txstream::http {
namespace {

using detail::Authority;
using detail::parse_authority;

// Cuts off and returns what precedes the first `separator`, without spaces at its ends.
std::string_view cut(std::string_view& text, char separator) {
    const auto end = std::min(text.find(separator), text.size());
    const auto piece = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    return piece;
}

bool is_json(std::string_view type) {
    const auto media = lowered(cut(type, ';'));
    const bool is_plus_json =
        media.starts_with("application/") && media.ends_with("+json") && media.size() > 17;
    if (media != "application/json" && !is_plus_json) return false;
    // RFC 8259 allows UTF-8 only and defines no parameter, but many clients send one.
    while (!type.empty()) {
        auto value = cut(type, ';');
        if (!same_word(cut(value, '='), "charset")) continue;
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
            value = value.substr(1, value.size() - 2);
        if (!same_word(value, "utf-8")) return false;
    }
    return true;
}

bool is_safe(Method method) noexcept {
    return method == Method::get || method == Method::head || method == Method::options;
}

/// "https://console.example:8443"
struct Origin {
    bool is_https;
    Authority host;
};

// Nothing also for "null", which a page without an origin sends (a sandboxed frame, a file).
std::optional<Origin> parse_origin(std::string_view text) {
    const bool is_https = same_word(text.substr(0, 8), "https://");
    if (!is_https && !same_word(text.substr(0, 7), "http://")) return std::nullopt;
    auto host = parse_authority(text.substr(is_https ? 8 : 7));
    if (!host) return std::nullopt;
    return Origin{is_https, std::move(*host)};
}

bool has_bearer(const Request& request) {
    const auto sent = request.header("Authorization").value_or("");
    return sent.size() > 7 && same_word(sent.substr(0, 7), "Bearer ");
}

std::string_view host_of(const Request& request) {
    return request.authority.empty() ? request.header("Host").value_or("") : request.authority;
}

std::uint16_t port_of(const Authority& authority, bool is_https) {
    return authority.port.value_or(is_https ? 443 : 80);
}

}  // namespace

Admission::Admission(Rules rules) : rules_(std::move(rules)) {
    for (auto& host : rules_.hosts) {
        if (const auto parsed = parse_authority(host)) host = parsed->host;
    }
}

void Admission::listens_on(std::string_view name, bool is_loopback, bool is_tls) {
    const auto parsed = parse_authority(name);
    name_ = parsed ? parsed->host : std::string();
    is_loopback_ = is_loopback;
    is_tls_ = is_tls;
}

std::optional<Admission::Refusal> Admission::refuse(const Request& request, bool has_body) const {
    const auto host = request.header("Host").value_or("");
    for (const auto named : {host, std::string_view(request.authority)}) {
        if (rules_.checks_hosts && !named.empty() && !is_ours(named))
            return Refusal{
                403,
                fmt::format(
                    "the host {} is none of this server's; {} adds names",
                    named,
                    rules_.hosts_setting
                )
            };
    }
    if (!is_safe(request.method)) {
        if (rules_.pages == Pages::proof_needed) {
            if (auto refusal = refuse_unproven(request)) return refusal;
        } else if (is_foreign_page(request)) {
            return Refusal{
                403,
                fmt::format(
                    "a web page of another origin must not send this request; {} names hosts whose "
                    "pages may",
                    rules_.hosts_setting
                )
            };
        }
    }
    if (rules_.only_json && has_body && !is_json(request.header("Content-Type").value_or("")))
        return Refusal{415, "the body must be JSON, with Content-Type: application/json"};
    return std::nullopt;
}

bool Admission::is_host(std::string_view text) {
    if (text == "*") return true;
    const auto parsed = parse_authority(text);
    return parsed && !text.ends_with(':') && !parsed->port;
}

bool Admission::is_ours(std::string_view host) const {
    const auto called = parse_authority(host);
    if (!called) return false;
    if (is_loopback(called->host) || called->host == name_ || lists(called->host)) return true;
    // Anyone can make a name that resolves to us; an address that reaches us is ours.
    const bool any_name = rules_.hosts.empty() && rules_.pages == Pages::foreign_refused;
    return !is_loopback_ && (any_name || called->is_address);
}

bool Admission::is_foreign_page(const Request& request) const {
    auto origin = request.header("Origin");
    const auto site = request.header("Sec-Fetch-Site");
    if (!origin) return site && !same_word(*site, "same-origin") && !same_word(*site, "none");
    const auto parsed = parse_origin(*origin);
    if (!parsed) return true;
    const auto& [is_https, page] = *parsed;
    const bool is_listed =
        std::find(rules_.hosts.begin(), rules_.hosts.end(), page.host) != rules_.hosts.end();
    if (is_listed) return false;
    if (site && (same_word(*site, "cross-site") || same_word(*site, "same-site"))) return true;
    const auto called = parse_authority(host_of(request));
    // We do not know whether a proxy ended TLS: a port that Host omits is the default of the page's
    // scheme.
    return !called || called->host != page.host ||
           port_of(*called, is_https) != port_of(page, is_https);
}

std::optional<Admission::Refusal> Admission::refuse_stream(const Request& request) const {
    if (rules_.pages != Pages::proof_needed) return std::nullopt;
    return refuse_unproven(request);
}

// Browsers send Sec-Fetch-Site to addresses that they trust, https and loopback; it then decides.
// Elsewhere only Origin is left, and a request without either comes from a program, or from a
// browser that says nothing: a token in a header is what no foreign page can send.
std::optional<Admission::Refusal> Admission::refuse_unproven(const Request& request) const {
    const auto remedy = [this] {
        return rules_.origins_setting.empty()
                   ? std::string()
                   : fmt::format("; {} adds origins that count as ours", rules_.origins_setting);
    };
    if (const auto site = request.header("Sec-Fetch-Site")) {
        if (same_word(*site, "same-origin") || same_word(*site, "none")) return std::nullopt;
        return Refusal{403, "a web page of another origin must not send this request"};
    }
    if (const auto origin = request.header("Origin")) {
        if (is_own_origin(*origin, request)) return std::nullopt;
        return Refusal{403, "a web page of another origin must not send this request" + remedy()};
    }
    if (has_bearer(request)) return std::nullopt;
    return Refusal{
        403,
        "this request says neither which page sends it nor who: a program sends Authorization: "
        "Bearer TOKEN"
    };
}

bool Admission::is_own_origin(std::string_view origin, const Request& request) const {
    const auto page = parse_origin(origin);
    if (!page) return false;
    const auto is_page = [&](bool is_https, const Authority& host) {
        return page->is_https == is_https && page->host.host == host.host &&
               port_of(page->host, is_https) == port_of(host, is_https);
    };
    const auto called = parse_authority(host_of(request));
    if (called && is_page(is_tls_, *called)) return true;
    return std::any_of(rules_.origins.begin(), rules_.origins.end(), [&](const auto& text) {
        const auto listed = parse_origin(text);
        return listed && is_page(listed->is_https, listed->host);
    });
}

bool Admission::is_origin(std::string_view text) {
    return parse_origin(text).has_value() && !text.ends_with(':');
}

bool Admission::lists(std::string_view host) const {
    return std::any_of(rules_.hosts.begin(), rules_.hosts.end(), [&](const std::string& known) {
        return known == "*" || known == host;
    });
}

}  // namespace txstream::http
