#pragma once

#include "console/context.hpp"
#include "console/operator_sessions.hpp"
#include "http/router.hpp"

namespace txstream::console {

/// What operators decide about delivery itself: /pauses, and /relays/{name}/drain. Belongs to the
/// console's thread.
class RelayDecisionsApi {
public:
    RelayDecisionsApi(Context& context, OperatorSessions& operators)
        : context_(context), operators_(operators) {}

    void add_routes(http::Router& router);

private:
    enum class Change : std::uint8_t { begin, end };

    Task<http::Response> pauses();
    Task<http::Response> change_pause(Change change, http::Request request);
    Task<http::Response> plan_drain(http::Request request);
    Task<http::Response> change_drain(Change change, http::Request request);
    http::Response refusal(const Error& error) const;

    Context& context_;
    OperatorSessions& operators_;
};

}  // namespace txstream::console
