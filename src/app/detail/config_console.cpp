#include "app/detail/config_console.hpp"

#include "console/masking.hpp"
#include "http/admission.hpp"

#include <boost/asio/ip/address.hpp>
#include <fmt/format.h>

namespace txstream::app {

namespace {

namespace k = kinds;
using k::Complaint;
using k::Kind;

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// Texts separated by commas; none may be empty.
template <class Member>
Kind list(std::string allowed, Member member, std::function<std::string(std::string_view)> judge) {
    return {
        std::move(allowed),
        [member, judge = std::move(judge)](Config& config, std::string_view value) -> Complaint {
            auto& into = member(config);
            into.clear();
            while (!trimmed(value).empty()) {
                const auto comma = std::min(value.find(','), value.size());
                const auto one = trimmed(value.substr(0, comma));
                value.remove_prefix(std::min(comma + 1, value.size()));
                if (one.empty()) return "";
                if (auto why = judge(one); !why.empty()) return why;
                into.emplace_back(one);
            }
            return std::nullopt;
        }
    };
}

Kind url(std::string allowed, auto member, std::string_view must_hold = {}) {
    return {
        std::move(allowed),
        [member, must_hold](Config& config, std::string_view value) -> Complaint {
            const bool is_url = value.starts_with("http://") || value.starts_with("https://");
            if (!value.empty() && !is_url) return "";
            if (!value.empty() && value.find(must_hold) == std::string_view::npos) return "";
            member(config) = std::string(value);
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

std::string no_host(std::string_view text) {
    return http::Admission::is_host(text) && text != "*" ? "" : fmt::format("{} is no host", text);
}

std::string no_origin(std::string_view text) {
    return http::Admission::is_origin(text)
               ? ""
               : fmt::format("{} is no origin; one is https://console.example:8443", text);
}

std::string no_mask(std::string_view text) {
    const auto parsed = console::Masks::parse({std::string(text)});
    return parsed ? "" : parsed.error().what();
}

Kind listening_host() {
    return {"an address to listen on", [](Config& config, std::string_view value) -> Complaint {
                if (value.empty()) return "";
                config.console.host = std::string(value);
                return std::nullopt;
            }};
}

bool is_loopback(const std::string& host) {
    if (host == "localhost") return true;
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(host, error);
    return !error && address.is_loopback();
}

std::vector<Setting> place_settings() {
    return {
        {"Console",
         "CONSOLE_ENABLED",
         {},
         "true",
         k::boolean([](Config& c, bool on) { c.console.is_enabled = on; }),
         "Whether `txstream serve` has the console."},
        {"Console",
         "CONSOLE_HOST",
         {},
         "127.0.0.1",
         listening_host(),
         "Off loopback it needs CONSOLE_TOKENS_FILE, and TLS or CONSOLE_INSECURE."},
        {"Console",
         "CONSOLE_PORT",
         {},
         "8082",
         k::number("a port", 0, 65535, TXS_MEMBER(console.port)),
         "0 is any free port; the log says which."},
        {"Console",
         "CONSOLE_BASE_PATH",
         {},
         "/",
         base_path(),
         "Where a proxy shows the console, if not at its root. The proxy may cut it off or leave "
         "it."},
        {"Console",
         "CONSOLE_ENV_LABEL",
         {},
         "",
         k::word("a short text", TXS_MEMBER(console.environment)),
         "Shown at the top of each page: production, staging."},
        {"Console",
         "CONSOLE_GRAFANA_URL",
         {},
         "",
         url("empty, or a URL", TXS_MEMBER(console.grafana_url)),
         "A link to it is shown."},
        {"Console",
         "CONSOLE_TRACE_URL",
         {},
         "",
         url("empty, or a URL with {trace_id} in it", TXS_MEMBER(console.trace_url), "{trace_id}"),
         "Where a trace can be seen; {trace_id} is filled in."},
        {"Console",
         "CONSOLE_MIN_REFRESH",
         {},
         "1s",
         k::duration(
             std::chrono::seconds(1), std::chrono::hours(1), TXS_MEMBER(console.refresh_floor)
         ),
         "Pages do not look more often."},
    };
}

std::vector<Setting> safety_settings() {
    return {
        {"Console",
         "CONSOLE_TOKENS_FILE",
         {},
         "",
         k::word("a file", TXS_MEMBER(console.tokens_file)),
         "Who may see the console: a line `NAME viewer TOKEN` or `NAME operator TOKEN` for each; "
         "sha256:HEX may stand for the token. Read again when it changes. Empty: on loopback "
         "everyone is a viewer."},
        {"Console",
         "CONSOLE_LINK_TOKEN",
         {},
         "",
         k::word("a text of 16 characters or more", TXS_MEMBER(console.link_token)),
         "A one-time token: the first who opens the console with #token=... is an operator until "
         "the process ends.",
         true},
        {"Console",
         "CONSOLE_TLS_CERT_FILE",
         {},
         "",
         k::word("a file", TXS_MEMBER(console.tls_certificate_file)),
         "The certificate and its chain, PEM. With CONSOLE_TLS_KEY_FILE the console speaks TLS. "
         "Read again when they change."},
        {"Console",
         "CONSOLE_TLS_KEY_FILE",
         {},
         "",
         k::word("a file", TXS_MEMBER(console.tls_key_file)),
         ""},
        {"Console",
         "CONSOLE_INSECURE",
         {},
         "false",
         k::boolean([](Config& c, bool on) { c.console.is_insecure = on; }),
         "Allows a console off loopback without tokens, or without TLS: a proxy in front sees to "
         "both. Each page says so."},
        {"Console",
         "CONSOLE_READ_ONLY",
         {},
         "false",
         k::boolean([](Config& c, bool on) { c.console.is_read_only = on; }),
         "Every caller is a viewer, whatever the token says."},
        {"Console",
         "CONSOLE_MASK",
         {},
         "",
         list("empty, or JSON paths separated by commas", TXS_MEMBER(console.masks), no_mask),
         "What a viewer does not see of payloads, on the server: "
         "$.shipping_address.*,$.customer_id. "
         "A payload that is no JSON is hidden."},
        {"Console",
         "CONSOLE_ALLOWED_HOSTS",
         {},
         "",
         list(
             "empty, or host names or addresses, without scheme and port, separated by commas",
             TXS_MEMBER(console.allowed_hosts),
             no_host
         ),
         "By which names browsers call this console, besides localhost and loopback addresses; any "
         "other is answered 403."},
        {"Console",
         "CONSOLE_ORIGINS",
         {},
         "",
         list(
             "empty, or origins such as https://console.example, separated by commas",
             TXS_MEMBER(console.origins),
             no_origin
         ),
         "Origins that browsers see where a proxy changes scheme or port."},
    };
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

}  // namespace txstream::app
