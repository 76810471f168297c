#pragma once

#include "base/error.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace txstream::otlp {

/// Where a collector takes spans.
struct Endpoint {
    bool is_https = false;
    std::string host;  ///< a name or an address, without brackets
    std::string port;
    std::string target;  ///< "/v1/traces"

    /// Of the header Host.
    std::string authority() const;
    std::string url() const;
};

/// `url` is http://host:port/path or https://…; the port is 4318 if it is missing. `below`: what
/// its path is continued with ("/v1/traces"), or nothing. Code::invalid_input completes "… is not
/// allowed: ".
Result<Endpoint> parse_endpoint(std::string_view url, std::string_view below = {});

/// "name=value,name=value", values percent-encoded: the form of OTEL_EXPORTER_OTLP_HEADERS and
/// OTEL_RESOURCE_ATTRIBUTES. What it complains of names the member by its place, never by its text:
/// it may be a secret.
using Pairs = std::vector<std::pair<std::string, std::string>>;
Result<Pairs> parse_pairs(std::string_view text);

/// Whether these can be headers of a request that has its own Host, Content-Type and framing.
Result<> check_headers(const Pairs& headers);

}  // namespace txstream::otlp
