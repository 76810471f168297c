#pragma once

#include "console/cluster_facts.hpp"
#include "console/context.hpp"
#include "http/router.hpp"

namespace txstream::console {

/// The routes below /brokers. Belongs to the console's thread.
class BrokersApi {
public:
    BrokersApi(Context& context, ClusterFacts& facts) : context_(context), facts_(facts) {}
    void add_routes(http::Router& router);

private:
    Task<http::Response> list();
    Task<http::Response> config(http::Request request);

    Context& context_;
    ClusterFacts& facts_;
};

}  // namespace txstream::console
