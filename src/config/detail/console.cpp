#include "config/detail/console.hpp"

#include "base/text.hpp"
#include "console/masking.hpp"
#include "http/admission.hpp"

#include <boost/asio/ip/address.hpp>
#include <fmt/format.h>

namespace txstream::config {

namespace {

namespace k = kinds;
using k::Complaint;
using k::Kind;

Kind url(std::string allowed, k::Set<std::string_view> set, std::string_view must_hold = {}) {
    return {
        std::move(allowed),
        [set = std::move(set), must_hold](Config& config, std::string_view value) -> Complaint {
            const bool is_url = value.starts_with("http://") || value.starts_with("https://");
            if (!value.empty() && !is_url) return "";
            if (!value.empty() && value.find(must_hold) == std::string_view::npos) return "";
            set(config, value);
            return std::nullopt;
        }
    };
}

Kind base_path() {
    return {
        "/, or a path such as /ops/txstream/, of a-z A-Z 0-9 . _ ~ - between the /",
        [](Config& config, std::string_view value) -> Complaint {
            if (!value.starts_with('/') || value.find("//") != std::string_view::npos) return "";
            for (const char c : value) {
                const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                      (c >= '0' && c <= '9') ||
                                      std::string_view("/._~-").find(c) != std::string_view::npos;
                if (!is_plain) return "";
            }
            config.console.base_path = std::string(value);
            if (!value.ends_with('/')) config.console.base_path += '/';
            return std::nullopt;
        }
    };
}

Complaint no_host(std::string_view text) {
    if (http::Admission::is_host(text) && text != "*") return std::nullopt;
    return fmt::format("{} is no host", text);
}

Complaint no_origin(std::string_view text) {
    if (http::Admission::is_origin(text)) return std::nullopt;
    return fmt::format("{} is no origin; one is https://console.example:8443", text);
}

Complaint no_mask(std::string_view text) {
    const auto parsed = console::Masks::parse({std::string(text)});
    if (parsed) return std::nullopt;
    return parsed.error().what();
}

std::vector<Setting> place_settings() {
    return section(
        "Console",
        {
            {"CONSOLE_ENABLED",
             "true",
             k::boolean(TXS_MEMBER(console.is_enabled)),
             "Whether `txstream serve` has the console."},
            {"CONSOLE_HOST",
             "127.0.0.1",
             k::not_empty("an address to listen on", TXS_MEMBER(console.host)),
             "Off loopback it needs CONSOLE_TOKENS_FILE, and TLS or CONSOLE_INSECURE."},
            {"CONSOLE_PORT",
             "8082",
             k::port(TXS_MEMBER(console.port)),
             "0 is any free port; the log says which."},
            {"CONSOLE_BASE_PATH",
             "/",
             base_path(),
             "Where a proxy shows the console, if not at its root. The proxy may cut it off or "
             "leave "
             "it."},
            {"CONSOLE_ENV_LABEL",
             "",
             k::text("a short text", TXS_MEMBER(console.environment)),
             "Shown at the top of each page: production, staging."},
            {"CONSOLE_GRAFANA_URL",
             "",
             url("empty, or a URL", TXS_MEMBER(console.grafana_url)),
             "A link to it is shown."},
            {"CONSOLE_TRACE_URL",
             "",
             url("empty, or a URL with {trace_id} in it",
                 TXS_MEMBER(console.trace_url),
                 "{trace_id}"),
             "Where a trace can be seen; {trace_id} is filled in."},
            {"CONSOLE_MIN_REFRESH",
             "1s",
             k::duration(
                 std::chrono::seconds(1), std::chrono::hours(1), TXS_MEMBER(console.refresh_floor)
             ),
             "Pages do not look more often."},
        }
    );
}

std::vector<Setting> safety_settings() {
    return section(
        "Console",
        {
            {"CONSOLE_TOKENS_FILE",
             "",
             k::text("a file", TXS_MEMBER(console.tokens_file)),
             "Who may see the console: a line `NAME viewer TOKEN` or `NAME operator TOKEN` for "
             "each; "
             "sha256:HEX may stand for the token. Read again when it changes. Empty: on loopback "
             "everyone is a viewer."},
            {"CONSOLE_LINK_TOKEN",
             "",
             k::text("a text of 16 characters or more", TXS_MEMBER(console.link_token)),
             "A one-time token: the first who opens the console with #token=... is an operator "
             "until "
             "the process ends.",
             true},
            {"CONSOLE_TLS_CERT_FILE",
             "",
             k::text("a file", TXS_MEMBER(console.tls_certificate_file)),
             "The certificate and its chain, PEM. With CONSOLE_TLS_KEY_FILE the console speaks "
             "TLS. "
             "Read again when they change."},
            {"CONSOLE_TLS_KEY_FILE", "", k::text("a file", TXS_MEMBER(console.tls_key_file)), ""},
            {"CONSOLE_INSECURE",
             "false",
             k::boolean(TXS_MEMBER(console.is_insecure)),
             "Allows a console off loopback without tokens, or without TLS: a proxy in front sees "
             "to "
             "both. Each page says so."},
            {"CONSOLE_READ_ONLY",
             "false",
             k::boolean(TXS_MEMBER(console.is_read_only)),
             "Every caller is a viewer, whatever the token says."},
            {"CONSOLE_MASK",
             "",
             k::list(
                 "empty, or JSON paths separated by commas", no_mask, TXS_MEMBER(console.masks)
             ),
             "What a viewer does not see of payloads, on the server: "
             "$.shipping_address.*,$.customer_id. "
             "A payload that is no JSON is hidden."},
            {"CONSOLE_ALLOWED_HOSTS",
             "",
             k::list(
                 "empty, or host names or addresses, without scheme and port, separated by commas",
                 no_host,
                 TXS_MEMBER(console.allowed_hosts)
             ),
             "By which names browsers call this console, besides localhost and loopback addresses; "
             "any "
             "other is answered 403."},
            {"CONSOLE_ORIGINS",
             "",
             k::list(
                 "empty, or origins such as https://console.example, separated by commas",
                 no_origin,
                 TXS_MEMBER(console.origins)
             ),
             "Origins that browsers see where a proxy changes scheme or port."},
        }
    );
}

}  // namespace

std::vector<Setting> console_settings() {
    auto all = place_settings();
    const auto more = safety_settings();
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

Problems finish_console(const Config::Console& console) {
    Problems problems;
    const bool has_tls = !console.tls_certificate_file.empty();
    if (has_tls != !console.tls_key_file.empty()) {
        const auto* const missing = has_tls ? "CONSOLE_TLS_KEY_FILE" : "CONSOLE_TLS_CERT_FILE";
        problems.push_back(
            {missing, fmt::format("{} is not set; TLS needs a certificate and its key", missing)}
        );
    }
    if (!console.link_token.empty() && console.link_token.size() < 16)
        problems.push_back(
            {"CONSOLE_LINK_TOKEN", "CONSOLE_LINK_TOKEN is too short; it needs 16 characters"}
        );
    if (!console.is_enabled || console.is_insecure || is_loopback(console.host)) return problems;
    if (console.tokens_file.empty())
        problems.push_back(
            {"CONSOLE_TOKENS_FILE",
             fmt::format(
                 "CONSOLE_HOST={} lets others reach the console, and CONSOLE_TOKENS_FILE is not "
                 "set; set it, or CONSOLE_INSECURE=true where a proxy asks who they are",
                 console.host
             )}
        );
    if (!has_tls)
        problems.push_back(
            {"CONSOLE_TLS_CERT_FILE",
             fmt::format(
                 "CONSOLE_HOST={} lets tokens and payloads travel in clear text; set "
                 "CONSOLE_TLS_CERT_FILE and CONSOLE_TLS_KEY_FILE, or CONSOLE_INSECURE=true where a "
                 "proxy ends TLS",
                 console.host
             )}
        );
    return problems;
}

}  // namespace txstream::config
