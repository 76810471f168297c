#pragma once

#include "console/overview.hpp"

#include <chrono>
#include <vector>

namespace txstream::console::detail {

// Slots come every ten seconds.
inline constexpr std::chrono::seconds kHistoryFresh{30};

std::vector<const outbox::SeenMember*> alive(const OverviewState& state);
bool is_history_fresh(const OverviewState& state);
/// What the living relays say that keeps them from delivering, and what stands in the tables.
void add_blockages(const OverviewState& state, std::vector<Cause>& causes);

}  // namespace txstream::console::detail
