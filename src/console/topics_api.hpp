#pragma once

#include "console/cluster_facts.hpp"
#include "console/context.hpp"
#include "http/router.hpp"

namespace txstream::console {

/// The routes below /topics that ask about topics themselves; those about their records are in
/// another file. Belongs to the console's thread.
class TopicsApi {
public:
    TopicsApi(Context& context, ClusterFacts& facts) : context_(context), facts_(facts) {}
    void add_routes(http::Router& router);

private:
    Task<http::Response> list(http::Request request);
    Task<http::Response> measure(http::Request request);
    Task<http::Response> readers(http::Request request);
    Task<http::Response> topic(http::Request request);
    Task<http::Response> groups_of(http::Request request);
    Task<http::Response> missing(std::string name);

    Context& context_;
    ClusterFacts& facts_;
};

}  // namespace txstream::console
