#pragma once

#include "console/context.hpp"
#include "console/number_page.hpp"
#include "console/operator_sessions.hpp"
#include "http/router.hpp"
#include "outbox/jobs.hpp"

namespace txstream::console {

/// Decisions about dead letters, newest first: what became of each, and how one is cancelled.
class JobsApi {
public:
    static constexpr std::chrono::seconds kListTime{6};

    JobsApi(Context& context, OperatorSessions& operators)
        : context_(context), operators_(operators) {}
    void add_routes(http::Router& router);

private:
    Task<http::Response> list(http::Request request);
    Task<http::Response> make_list(outbox::JobFilter filter, std::size_t rows, Deadline deadline);
    Task<http::Response> get(http::Request request);
    Task<http::Response> make(std::int64_t id, Deadline deadline);
    Task<http::Response> cancel(http::Request request);

    Context& context_;
    OperatorSessions& operators_;
};

}  // namespace txstream::console
