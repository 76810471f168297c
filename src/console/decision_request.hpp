#pragma once

#include "http/response.hpp"
#include "operations/selection.hpp"

#include <tl/expected.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace txstream::console {

/// What a body asks for: which dead letters, and what about them.
struct DecisionRequest {
    outbox::Decision decision = outbox::Decision::replay;
    operations::Selection selection;
    std::string reason;
    std::uint64_t events = 0;          ///< what the plan has shown; more are not decided about
    std::optional<std::int64_t> rate;  ///< of them in a second at most
};

/// The body of a plan, or the answer that refuses it and names the member. A member that is not
/// known is refused: a misspelt condition would select more.
tl::expected<DecisionRequest, http::Response> plan_request(
    std::string_view body, std::string_view default_topic
);
/// The body of a decision.
tl::expected<DecisionRequest, http::Response> decision_request(
    outbox::Decision decision, std::string_view body, std::string_view default_topic
);
/// The body of a cancellation: its reason.
tl::expected<std::string, http::Response> cancel_request(std::string_view body);

}  // namespace txstream::console
