#pragma once

#include "http/admission.hpp"
#include "http/role.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace txstream::http {

/// How a server words what it refuses itself: unknown paths, malformed requests, missing rights,
/// failures without a body.
enum class Problems : std::uint8_t {
    error_member,  ///< {"error":"..."}, as the earlier system did
    details,       ///< application/problem+json (RFC 9457), see problem_details()
};

class Access;
class Tls;

using ExtraHeaders = std::vector<std::pair<std::string, std::string>>;

/// What a server refuses before a handler runs, and how its answers look.
struct Options {
    Admission admission;
    Access* access = nullptr;     ///< knows tokens; without it, every caller is anonymous
    Tls* tls = nullptr;           ///< without it, connections are plain
    Role anonymous = Role::none;  ///< of callers without a token
    Role most = Role::operator_;  ///< no caller is more, whatever the token says
    Problems problems = Problems::error_member;
    /// Every response has them, refusals too, unless it has one of that name; `Vary` is always
    /// added.
    ExtraHeaders headers = {};
};

/// For a server whose responses a browser shows: nothing from elsewhere runs in its page, no other
/// page frames it, nothing is sniffed, guessed, leaked or stored. Scripts, styles and requests may
/// be of this server only; nothing inline. There are no CORS headers, so no other origin reads an
/// answer.
ExtraHeaders page_headers();

}  // namespace txstream::http
