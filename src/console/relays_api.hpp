#pragma once

#include "console/context.hpp"
#include "http/router.hpp"

namespace txstream::console {

/// /relays: what each relay process reports, and who owns which lane. Belongs to the console's
/// thread.
class RelaysApi {
public:
    explicit RelaysApi(Context& context) : context_(context) {}

    void add_routes(http::Router& router);

private:
    Task<http::Response> relays();

    Context& context_;
};

}  // namespace txstream::console
