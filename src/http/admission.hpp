#pragma once

#include "http/request.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::http {

/// Decides which requests are refused before any handler runs, because a web page may have sent
/// them. A page in a browser on this machine could otherwise write (a form may post text/plain to
/// any address) and, through a name that resolves to 127.0.0.1, read (DNS rebinding). A browser
/// reports truthfully which page sends a request (Origin, Sec-Fetch-Site) and under which name
/// (Host). Other programs can send any header, so this does not authenticate.
class Admission {
public:
    /// Which writing requests are refused for the page that sends them.
    enum class Pages : std::uint8_t {
        /// Those of a page that is known to be foreign. What says nothing of a page comes from a
        /// program, and is accepted.
        foreign_refused,
        /// Those that do not prove that they come from our own page, or from a program with a
        /// token. Streams need the same proof: a browser may open them for any page.
        proof_needed,
    };
    struct Rules {
        bool only_json = false;     ///< a body that is no application/json or +json: 415
        bool checks_hosts = false;  ///< a Host that is none of ours: 403
        /// Further names of this server. "*": any name (but no page). With foreign_refused, pages
        /// of these hosts may write, as our own may.
        std::vector<std::string> hosts = {};
        Pages pages = Pages::foreign_refused;
        /// "https://console.example:8443": pages that count as ours, where a proxy changes scheme,
        /// name or port. For proof_needed.
        std::vector<std::string> origins = {};
        /// Settings that refusals name as their remedy.
        std::string hosts_setting = "SERVER_ALLOWED_HOSTS";
        std::string origins_setting = {};
    };
    struct Refusal {
        int status;
        std::string text;
    };

    Admission() = default;
    explicit Admission(Rules rules);

    /// Where the server listens. On a loopback address, Host must be a loopback name or address,
    /// `name`, or in the rules. Elsewhere an address that reaches us is accepted as well; with
    /// foreign_refused every name is, unless the rules list some.
    void listens_on(std::string_view name, bool is_loopback, bool is_tls = false);

    /// Called when the headers are complete; the body may still be on its way.
    std::optional<Refusal> refuse(const Request& request, bool has_body) const;

    /// To be asked of a request, of any method, whose answer is a stream.
    std::optional<Refusal> refuse_stream(const Request& request) const;

    /// A name or an address without scheme, port, and path; or "*".
    static bool is_host(std::string_view text);
    /// "http" or "https", "://", a host, and perhaps a port: nothing else.
    static bool is_origin(std::string_view text);

private:
    bool is_ours(std::string_view host) const;
    bool is_foreign_page(const Request& request) const;
    std::optional<Refusal> refuse_unproven(const Request& request) const;
    bool is_own_origin(std::string_view origin, const Request& request) const;
    bool lists(std::string_view host) const;

    Rules rules_;
    std::string name_;
    bool is_loopback_ = false;
    bool is_tls_ = false;
};

}  // namespace txstream::http
