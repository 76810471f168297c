#pragma once

#include "console/cluster_facts.hpp"
#include "console/context.hpp"
#include "http/router.hpp"
#include "kafka/record_reader.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

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
    Task<std::optional<std::int64_t>> newest(
        std::string name, std::vector<kafka::PartitionBounds> bounds
    );

    Context& context_;
    ClusterFacts& facts_;
    struct Newest {
        std::chrono::steady_clock::time_point read_at;
        std::optional<std::int64_t> unix_ms;
    };
    /// Of topics whose pages are open: reading them takes a client of its own.
    std::map<std::string, Newest, std::less<>> newest_;
};

}  // namespace txstream::console
