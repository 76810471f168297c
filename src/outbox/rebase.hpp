#pragma once

#include "outbox/dead_letter_decisions.hpp"
#include "pg/connection.hpp"

#include <cstdint>
#include <optional>
#include <string>

// Makes a restored or copied outbox this database's own (docs/adr/0014-rebase.md).
//
// Its cursors are snapshots of another cluster. What they say about the rows that were copied with
// them stays true; about rows that were written here since it is a lie. So an event counts as
// published when the cursor of its lane says so and it is proven that its row came with the copy,
// or when it is among the dead letters. All others are given the id of the transaction that
// decides, and are sent: none is lost, and what cannot be proven may be sent again.
namespace txstream::outbox {

/// Of the errors of rebase() that the state of the outbox causes.
inline constexpr const char* kRebaseOrigin = "rebase_refused";

struct RebaseRule {
    /// Decides by ids instead: an event with a lower one was published, all others were not. For a
    /// copy whose original went on delivering.
    std::optional<std::int64_t> first_pending;
    /// A larger table is not read in order to count.
    std::uint64_t counted_bytes_max = std::uint64_t{4} << 30U;
};

struct RebaseSurvey {
    std::string why;  ///< what is wrong; empty: nothing, and rebase() would change nothing
    std::int64_t lanes = 0;
    std::int64_t parked = 0;  ///< dead letters that wait; they stay what they are
    std::int64_t pending = 0;
    /// Of them: may have been published before. The cursor says so, the row does not prove it.
    std::int64_t again = 0;
    /// They are not counted: `pending` is what the table can hold at most, `again` is unknown.
    bool is_bound = false;
    std::uint64_t bytes = 0;  ///< of the table, without its indexes
};

/// Looks only. Fails with the origin kRebaseOrigin while a relay that is alive owns lanes, with
/// 42501 where the login has not the rights of the owner of the tables.
Task<Result<RebaseSurvey>> survey_rebase(
    pg::Connection& connection, RebaseRule rule, Deadline deadline
);

struct Rebased {
    std::string why;              ///< what was wrong; empty: nothing, and nothing was changed
    std::int64_t pending = 0;     ///< events that will be sent
    std::int64_t again = 0;       ///< of them, perhaps not for the first time
    std::int64_t renumbered = 0;  ///< of them, with a new id: theirs had been given before the copy
    std::int64_t moved = 0;       ///< published ones that were marked as such for this cluster
};

/// All or nothing, in one transaction that keeps writers out; Code::timed_out: unknown. The row of
/// the audit is part of it.
Task<Result<Rebased>> rebase(
    pg::Connection& connection, RebaseRule rule, Signature signature, Deadline deadline
);

}  // namespace txstream::outbox
