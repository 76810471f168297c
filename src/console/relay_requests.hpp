#pragma once

#include "http/response.hpp"
#include "outbox/pauses.hpp"

#include <tl/expected.hpp>

#include <string_view>

namespace txstream::console {

/// What a body says is to be paused or resumed: {"what", "name", "reason"}; the reason is the
/// pause's own. A member that is not known is refused.
tl::expected<outbox::Pause, http::Response> pause_request(std::string_view body);

/// Of a drain.
struct DrainRequest {
    std::string reason{};
    bool is_forced = false;  ///< also where no other relay would take its lanes
};
/// {"reason", "force"}. The reason may be empty; force may be left out.
tl::expected<DrainRequest, http::Response> drain_request(std::string_view body);

}  // namespace txstream::console
