#pragma once

#include "outbox/audit.hpp"

namespace txstream::outbox {

/// What became of a decision about dead letters, by its row in txstream.audit: any process can
/// tell, also after the one that decided has ended. A decision in several steps is named by the row
/// of the first one.
struct DecisionProgress {
    AuditEntry entry;              ///< of that row
    std::uint64_t total = 0;       ///< letters of the whole decision
    std::uint64_t decided = 0;     ///< by its steps until now
    std::uint64_t waiting = 0;     ///< of these, letters that no relay has carried out
    bool is_waiting_exact = true;  ///< false: more than kDecisionWaitingMax
    /// Replayed, or discarded. Known when nothing waits, and the letters could be counted in time.
    /// The others of a replay were refused and parked again.
    std::optional<std::uint64_t> carried_out;
};
/// Letters that wait are counted up to this: half a second, while relays work them off.
inline constexpr std::size_t kDecisionWaitingMax = 100'000;
/// Nothing: no row of a decision about dead letters has this id.
Task<Result<std::optional<DecisionProgress>>> decision_progress(
    pg::Connection& connection, std::int64_t audit_id, Deadline deadline
);

}  // namespace txstream::outbox
