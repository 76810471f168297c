#pragma once

#include "base/error.hpp"
#include "base/strong.hpp"
#include "outbox/letters.hpp"
#include "outbox/pauses.hpp"
#include "outbox/progress.hpp"
#include "outbox/shares.hpp"
#include "pg/connection.hpp"

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace txstream::outbox {

/// How many lanes the outbox has; fixed when it was migrated.
Task<Result<std::size_t>> lane_count(pg::Connection& connection, Deadline deadline);

/// Some lane has no owner whose lease has not ended: its events wait.
Task<Result<bool>> has_unowned_lanes(pg::Connection& connection, Deadline deadline);

/// How an event is put among the dead letters. `bare` is the last resort where the whole cannot be
/// stored: its content stays in the outbox.
enum class LetterForm : std::uint8_t { whole, bare };

/// What an owner of lanes writes: its lease, which lanes it has, how far they are published.
///
/// Three tables, because they change at different rates. `leases` has one row for each owner; it
/// alone is updated while nothing changes hands, a few times in a lease. A row of `lanes` is
/// written when the lane is claimed. What is acknowledged is appended to `positions`, many lanes
/// and pages to a row, so that nothing grows slower while a session somewhere holds a snapshot.
///
/// An owner is fenced as a whole: whoever wants its lanes deletes its lease. Each acknowledgement
/// holds the lease's row FOR SHARE, which writes no new version of it, until it commits. So one
/// that is under way is waited for and seen by the next owner, and a later one changes nothing.
///
/// One for each session of one owner: forget() when the session is another one. One call at a time.
class LaneStore {
public:
    explicit LaneStore(std::string owner);

    /// What the session before this one was told, a new one knows nothing of. The next claim takes
    /// a new lease, and what the old session may still be writing is refused from then on.
    void forget();

    /// What this owner would have. It is written down with its lease, from the next time on that it
    /// is taken or prolonged.
    void want(Want want) { want_ = want; }

    /// All owners whose leases have not ended; this one is not among them where its own has. Reads
    /// only.
    Task<Result<Shares>> shares(pg::Connection& connection, Deadline deadline);

    /// Takes a lease, or prolongs the one that it has, so that others leave it its share of the
    /// lanes. Ends the leases that are over.
    Task<Result<>> enlist(
        pg::Connection& connection, std::chrono::milliseconds lease, Deadline deadline
    );

    /// Hands lanes over: each belongs to its heir, who finds it with its next claim, or to nobody
    /// where the heir's lease has ended. Everything that was sent of them must have been written,
    /// and nothing may be sent any more: whether it was applied may stay unknown. Returns those
    /// that were handed over; the others are lost.
    Task<Result<std::vector<LaneId>>> give(
        pg::Connection& connection, std::vector<Gift> gifts, Deadline deadline
    );

    /// Claims up to `limit` lanes that have no owner, or whose owner's lease has ended by the
    /// database's clock; first those that the table holds for this owner beside the `owned` ones.
    /// Fails as check_instance() does, without claiming anything.
    Task<Result<std::vector<ClaimedLane>>> claim(
        pg::Connection& connection,
        std::vector<LaneId> owned,
        std::size_t limit,
        std::chrono::milliseconds lease,
        Deadline deadline
    );

    /// Prolongs the lease. Returns which of these lanes are still the owner's; a missing one is
    /// lost. Nothing is waited for on disk: a disk that is busy for seconds would cost all lanes,
    /// and a crash that forgets it ends the session too, under which the lanes were claimed.
    Task<Result<std::vector<LaneId>>> renew(
        pg::Connection& connection,
        std::vector<LaneId> lanes,
        std::chrono::milliseconds lease,
        Deadline deadline
    );

    /// Appends where these lanes are: a row for each position, with the publication that led there
    /// and all lanes that are there. Returns the lanes of the rows that were written; a missing one
    /// is lost. A crash of the server may lose it (duplicates, never a loss), so nothing is waited
    /// for on disk. May be repeated when it is unknown whether it was applied.
    Task<Result<std::vector<LaneId>>> advance(
        pg::Connection& connection,
        std::vector<LaneProgress> lanes,
        std::vector<Publication> publications,
        Deadline deadline
    );

    /// Parks events of one lane and appends its position, durably, in one transaction. False: the
    /// lane is lost, nothing was done. Texts of errors are made storable, whatever they are.
    Task<Result<bool>> park(
        pg::Connection& connection,
        LaneProgress lane,
        std::vector<ParkedEvent> parked,
        Publication publication,
        LetterForm form,
        Deadline deadline
    );

    /// Keys of these lanes about whose letters an operator has decided: each call looks at the next
    /// so many decisions. Those that ask for nothing more than to be noticed (discards) are done
    /// with it.
    Task<Result<Decisions>> decisions(
        pg::Connection& connection, std::vector<LaneId> lanes, std::size_t limit, Deadline deadline
    );
    /// The letters that are left of these keys, from the front of each.
    Task<Result<Letters>> letters(
        pg::Connection& connection, std::vector<LaneKey> keys, LetterLimit limit, Deadline deadline
    );
    /// Writes what became of letters, of those among these lanes that are still the owner's;
    /// returns these. What an operator has discarded meanwhile stays discarded. A crash of the
    /// server may lose it, as with advance(). May be repeated.
    Task<Result<std::vector<LaneId>>> settle(
        pg::Connection& connection,
        std::vector<LaneId> lanes,
        std::vector<SettledLetter> letters,
        Deadline deadline
    );

    /// Decides that letters which wait for their topics are sent, of those of these lanes that are
    /// still the owner's; returns the topic of each, as it is stored.
    Task<Result<std::vector<std::string>>> revive(
        pg::Connection& connection, std::vector<LaneId> lanes, Revival which, Deadline deadline
    );

    /// What is paused, oldest first.
    Task<Result<std::vector<Pause>>> pauses(pg::Connection& connection, Deadline deadline);

    /// Gives the lease up, and all lanes with it, so that others need not wait for its end.
    Task<Result<>> release(pg::Connection& connection, Deadline deadline);

private:
    struct Totals {
        std::int64_t published = 0;
        std::int64_t parked = 0;
    };

    pg::Params rows_params(
        const std::vector<LaneProgress>& lanes,
        const std::vector<Publication>& publications,
        std::int64_t parked
    ) const;
    Totals totals_of(LaneId lane) const;

    std::string owner_;
    std::int64_t lease_ = 0;  ///< its number; 0: none
    Want want_;
    bool drains_ = false;  ///< as the lease said at the last look; the next lease says it again
    std::map<LaneId, Totals> totals_;
    struct Decided {
        LaneId lane{-1};
        EventSeq id;
    };
    Decided decided_after_;  ///< with which the last look ended
};

}  // namespace txstream::outbox
