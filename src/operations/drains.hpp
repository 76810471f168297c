#pragma once

#include "operations/dead_letters.hpp"
#include "outbox/drains.hpp"
#include "outbox/members.hpp"
#include "outbox/pauses.hpp"
#include "outbox/undelivered.hpp"
#include "pg/connection.hpp"
#include "runtime/deadline.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

// For maintenance: a relay hands all its lanes over and takes none; or everything that was
// committed so far is delivered.
namespace txstream::operations {

/// Of errors of change_drain() and wait_drained() that the state of the relays causes. The texts
/// say what to do instead.
inline constexpr const char* kDrainOrigin = "drain_state";

/// A relay among the others.
struct DrainState {
    std::string relay;
    std::int64_t workers = 0;   ///< with a lease; 0: it does not run
    std::int64_t draining = 0;  ///< of these
    std::int64_t lanes = 0;     ///< that it owns
    std::int64_t others = 0;    ///< workers of other relays that would take its lanes

    bool is_drained() const { return lanes == 0; }
    bool drains() const { return workers > 0 && draining == workers; }
};
DrainState drain_state_of(const std::vector<outbox::LeaseRow>& leases, std::string_view relay);
Task<Result<DrainState>> drain_state(
    pg::Connection& connection, std::string relay, Deadline deadline
);

struct DrainChange {
    std::string relay;
    bool drains = true;      ///< false: it takes lanes as before
    bool is_forced = false;  ///< also where no other relay would take its lanes
};
struct DrainChanged {
    DrainState state;         ///< as it was before
    bool is_changed = false;  ///< false: it was so already, and nothing was written
};
/// Writes it down, with the row of the audit. A relay looks within a third of its lease.
/// Code::not_found: no such relay runs. Code::conflict: no other relay would take its lanes.
Task<Result<DrainChanged>> change_drain(
    pg::Connection& connection, DrainChange change, Authority authority, Deadline deadline
);

/// Looks until the relay owns no lane, at most until the deadline; returns what it saw last.
/// Code::conflict: the drain was cancelled meanwhile.
Task<Result<DrainState>> wait_drained(
    pg::Connection& connection,
    std::string relay,
    std::function<void(const DrainState&)> on_look,
    Deadline deadline
);

/// How far delivery is, and what may hold it up.
struct DeliveryLook {
    outbox::Undelivered undelivered;
    std::vector<outbox::PauseEntry> pauses{};   ///< looked for where something waits
    std::vector<outbox::SeenMember> members{};  ///< the same
};
/// Looks until everything that was committed before the call is acknowledged by Kafka or parked, at
/// most until the deadline; returns what it saw last.
Task<Result<DeliveryLook>> wait_delivered(
    pg::Connection& connection, std::function<void(const DeliveryLook&)> on_look, Deadline deadline
);

}  // namespace txstream::operations
