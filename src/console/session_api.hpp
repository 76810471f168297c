#pragma once

#include "console/context.hpp"
#include "http/router.hpp"

namespace txstream::console {

/// /session and /openapi.json: who asks, and what this console has.
class SessionApi {
public:
    explicit SessionApi(Context& context) : context_(context) {}
    void add_routes(http::Router& router);

private:
    Task<http::Response> session(http::Request request);

    Context& context_;
};

}  // namespace txstream::console
