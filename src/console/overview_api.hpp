#pragma once

#include "console/cluster_facts.hpp"
#include "console/context.hpp"
#include "console/overview.hpp"
#include "http/router.hpp"
#include "runtime/task_group.hpp"
#include "runtime/wakeup.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace txstream::console {

/// /overview and /overview/history: asks PostgreSQL and Kafka what overview.hpp makes sentences of.
/// Belongs to the console's thread.
class OverviewApi {
public:
    OverviewApi(Context& context, ClusterFacts& cluster)
        : context_(context),
          cluster_(cluster),
          kafka_asked_(context.executor),
          tasks_(context.executor) {}

    void add_routes(http::Router& router);
    /// After the last request. Before the destructor.
    Task<> stop();

private:
    Task<http::Response> overview();
    Task<http::Response> history(http::Request request);

    /// Brings state_ up to date as far as it can; what is not reached stays as it was.
    Task<> look();
    Task<Result<>> look_at_database();
    Task<Result<>> look_at_what_waits(pg::Connection& session);
    void failed(const Error& error);
    Task<> ask_kafka();

    Context& context_;
    ClusterFacts& cluster_;
    OverviewState state_;
    std::vector<outbox::HistoryChange> changes_;
    std::chrono::steady_clock::time_point changes_at_{};
    std::chrono::steady_clock::time_point parked_at_{};
    std::chrono::steady_clock::time_point kafka_at_{};
    bool is_asking_kafka_ = false;
    runtime::Wakeup kafka_asked_;
    runtime::TaskGroup tasks_;
};

}  // namespace txstream::console
