#pragma once

#include "console/context.hpp"
#include "http/access.hpp"
#include "http/router.hpp"

namespace txstream::console {

/// /session and /openapi.json: who asks, and what this console has.
class SessionApi {
public:
    SessionApi(Context& context, http::Access& access) : context_(context), access_(access) {}
    void add_routes(http::Router& router);

private:
    Task<http::Response> session(http::Request request);
    Task<http::Response> open(http::Request request);

    Context& context_;
    http::Access& access_;
};

}  // namespace txstream::console
