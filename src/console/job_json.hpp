#pragma once

#include "console/json.hpp"
#include "outbox/jobs.hpp"

#include <optional>

namespace txstream::console {

/// The shape Job of openapi.yaml.
Json job_json(const outbox::Job& job);

/// Letters that were carried out or refused in a second, on average since the first decision;
/// nothing for less than a second.
std::optional<double> carried_out_per_second(const outbox::Job& job);

}  // namespace txstream::console
