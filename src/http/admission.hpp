#pragma once

#include "http/request.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::http {

/// What a server refuses before any handler sees it, because a web page may have sent it. There is
/// no login: a page that is open in a browser next to us could otherwise write (a form may post
/// text/plain to any address) and, with a name that it lets point to 127.0.0.1, read (DNS
/// rebinding). Browsers say truly which page asks (Origin, Sec-Fetch-Site) and by which name it
/// calls us (Host); programs that are no browsers may say what they like, and it proves nothing.
class Admission {
public:
    struct Rules {
        bool only_json = false;     ///< a body that is no application/json or +json: 415
        bool checks_hosts = false;  ///< a Host that is none of ours: 403
        /// Names by which we are called, besides the usual ones; pages of these hosts may send
        /// what only our own may otherwise. "*": any name.
        std::vector<std::string> hosts;
    };
    struct Refusal {
        int status;
        std::string text;
    };

    Admission() = default;
    explicit Admission(Rules rules);

    /// What the server listens on. On a loopback address a Host must be loopback's, `name`, or one
    /// of the rules; elsewhere any name is ours unless the rules have some.
    void listens_on(std::string_view name, bool is_loopback);

    /// To be asked when the headers have come; the body may still be on its way.
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
