#pragma once

#include "outbox/shares.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace txstream::relay {

/// What an owner of lanes does, so that all have as many within one lane.
///
/// Pure, and the same everywhere: every owner computes the same targets from the same table, so
/// that nobody has to be asked. A lane moves only from one that has too many to one that has too
/// few, and where all are within one lane nothing moves.
struct Balance {
    std::size_t target = 0;  ///< lanes that it should have
    std::size_t take = 0;    ///< lanes without an owner that it may claim
    bool expects = false;    ///< others have lanes to hand over to it
    /// The leases of those to whom it hands over a lane each.
    std::vector<std::int64_t> heirs;
    /// Lanes without an owner that all together may not have: as many as they want, they have.
    std::size_t unwanted = 0;
};

/// Nothing where we are not among the owners.
Balance balance_of(const outbox::Shares& shares);

/// How many lanes each of the owners should have, in their order.
std::vector<std::size_t> targets_of(const outbox::Shares& shares);

}  // namespace txstream::relay
