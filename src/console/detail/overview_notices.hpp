#pragma once

#include "console/overview.hpp"

#include <vector>

/// What slows delivery, or concerns this console, and stops nothing.
namespace txstream::console::detail {

void add_careful_topics(const OverviewState& state, std::vector<Cause>& causes);
void add_lost_leases(const OverviewState& state, std::vector<Cause>& causes);
void add_locks(const OverviewState& state, std::vector<Cause>& causes);

}  // namespace txstream::console::detail
