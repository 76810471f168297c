#pragma once

#include "console/context.hpp"
#include "console/decision_request.hpp"
#include "console/operator_sessions.hpp"
#include "http/router.hpp"
#include "operations/dead_letters.hpp"

namespace txstream::console {

/// What operators decide about dead letters: planned, and made a job of (JobsApi), which neither
/// this page nor this process has to outlive.
class DecisionsApi {
public:
    DecisionsApi(Context& context, OperatorSessions& operators)
        : context_(context), operators_(operators) {}
    void add_routes(http::Router& router);

private:
    Task<http::Response> plan(http::Request request);
    Task<http::Response> decide(outbox::Decision decision, http::Request request);
    Task<Result<operations::Started>> start(
        DecisionRequest asked, std::string actor, Deadline deadline
    );

    Context& context_;
    OperatorSessions& operators_;
};

}  // namespace txstream::console
