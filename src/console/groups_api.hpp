#pragma once

#include "console/cluster_facts.hpp"
#include "console/context.hpp"
#include "console/group_rows.hpp"
#include "http/router.hpp"

#include <string>
#include <vector>

namespace txstream::console {

/// The routes below /groups. Belongs to the console's thread.
class GroupsApi {
public:
    GroupsApi(Context& context, ClusterFacts& facts) : context_(context), facts_(facts) {}
    void add_routes(http::Router& router);

private:
    /// A group as it was just measured.
    struct Measured {
        std::string name;
        GroupFacts facts;
        GroupLag lag;
        std::string error;
    };

    Task<http::Response> list(http::Request request);
    Task<http::Response> describe(http::Request request);
    Task<http::Response> group(http::Request request);
    Task<Result<std::vector<Measured>>> measure(
        std::shared_ptr<const kafka::GroupList> list, std::vector<std::string> names
    );
    static Json to_json(const Measured& measured);

    Context& context_;
    ClusterFacts& facts_;
};

}  // namespace txstream::console
