#pragma once

#include "http/request.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::http {

/// Decides which requests are refused before any handler runs, because a web page may have sent
/// them. There is no login: a page in a browser on this machine could otherwise write (a form may
/// post text/plain to any address) and, through a name that resolves to 127.0.0.1, read (DNS
/// rebinding). A browser reports truthfully which page sends a request (Origin, Sec-Fetch-Site) and
/// under which name (Host). Other programs can send any header, so this does not authenticate.
class Admission {
public:
    struct Rules {
        bool only_json = false;     ///< a body that is no application/json or +json: 415
        bool checks_hosts = false;  ///< a Host that is none of ours: 403
        /// Further names of this server. Pages of these hosts may write, as our own may. "*": any
        /// name (but no page).
        std::vector<std::string> hosts;
    };
    struct Refusal {
        int status;
        std::string text;
    };

    Admission() = default;
    explicit Admission(Rules rules);

    /// Where the server listens. On a loopback address, Host must be a loopback name or address,
    /// `name`, or in the rules. Elsewhere every name is accepted unless the rules list some.
    void listens_on(std::string_view name, bool is_loopback);

    /// Called when the headers are complete; the body may still be on its way.
    std::optional<Refusal> refuse(const Request& request, bool has_body) const;

    /// A name or an address without scheme, port, and path; or "*".
    static bool is_host(std::string_view text);

private:
    bool is_ours(std::string_view host) const;
    bool is_foreign_page(const Request& request) const;
    bool lists(std::string_view host) const;

    Rules rules_;
    std::string name_;
    bool is_loopback_ = false;
};

}  // namespace txstream::http
