#pragma once

#include "outbox/dead_letter_decisions.hpp"
#include "pg/connection.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::outbox {

/// A worker of a relay whose lease has not ended: what it has, and what an operator wants of it.
struct LeaseRow {
    std::string owner;  ///< "<relay>/<worker>"
    std::int64_t lanes = 0;
    std::int64_t lanes_wanted = 0;  ///< at most; 0: it ends
    bool stands_by = false;
    bool drains = false;

    /// The relay process that it belongs to.
    std::string_view relay() const {
        return std::string_view(owner).substr(0, owner.find_last_of('/'));
    }
};

/// More than Shares::kOwnersMax share no lanes.
inline constexpr std::size_t kLeasesMax = 1024;

/// By owner.
Task<Result<std::vector<LeaseRow>>> read_leases(pg::Connection& connection, Deadline deadline);

/// Says of all workers of a relay whether they drain, and writes the row of txstream.audit, in one
/// transaction. Returns how many workers it was news for; where there is none nothing is written.
/// What becomes of it is the relay's to do (relay/balance.hpp).
Task<Result<std::int64_t>> set_drains(
    pg::Connection& connection,
    std::string relay,
    bool drains,
    Signature signature,
    Deadline deadline
);

}  // namespace txstream::outbox
