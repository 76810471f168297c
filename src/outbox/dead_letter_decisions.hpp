#pragma once

#include "outbox/event_row.hpp"
#include "pg/connection.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace txstream::outbox {

/// What an operator decides about parked events. It is written here; the owner of the lane carries
/// it out.
enum class Decision : std::uint8_t {
    replay,  ///< send it, and the held events behind it
    discard  ///< never send it; the events that it held go on
};
std::string_view to_string(Decision decision) noexcept;

/// Which dead letters a decision is about: parked ones that match every member that has a value.
///
/// A held letter has no fault of its own and follows the letter that it waits for. So a replay
/// never selects one, and a discard only where `seq` or the error class "held" names it.
struct LetterSelection {
    std::optional<EventSeq> seq{};
    std::optional<std::string> key{};
    std::optional<std::string> error_class{};
    std::optional<std::string> event_type{};
    std::optional<std::string> topic{};  ///< empty text: the default one
};

/// Settings of a session that plans or decides. A statement over many letters is planned once and
/// run once; without sequential scans it walks indexes, whatever the statistics say.
extern const char* const kDecisionSettings;

/// More letters than this are counted and decided by several selections, not by one.
inline constexpr std::size_t kDecisionLettersMax = 1'000'000;
/// Rows that one transaction changes: half a second among 300,000 letters.
inline constexpr std::size_t kDecisionStep = 10'000;

/// What a decision would do now.
struct DecisionCounts {
    std::uint64_t letters = 0;  ///< that would be decided; more than kDecisionLettersMax: too many
    std::uint64_t keys = 0;     ///< of these letters
    /// Matching letters that a replay leaves out: each is behind an earlier letter of its key that
    /// is parked for its own sake and does not match, so it could not be sent.
    std::uint64_t blocked = 0;
    /// Held letters behind the decided ones, with no other obstacle before them: the relay sends
    /// them without a decision.
    std::uint64_t held = 0;
    /// Keys of letters that do not hold them and have newer published events, among the 200,000
    /// events behind the first such letter: a replay sends these letters after the newer events.
    std::uint64_t keys_passed = 0;
    std::vector<EventRow> sample;  ///< the first ones
};
Task<Result<DecisionCounts>> count_decision(
    pg::Connection& connection,
    Decision decision,
    LetterSelection selection,
    std::size_t sample,
    Deadline deadline
);

/// Of the audit's column.
inline constexpr std::size_t kReasonBytesMax = 2000;

/// What the row of txstream.audit says besides the numbers.
struct Signature {
    std::string actor;
    std::string origin;  ///< cli, console
    std::string target;  ///< JSON object: what was asked for
    std::string reason;
};
/// What decided about the letters of a selection.
struct DecidedAtOnce {
    std::uint64_t matching = 0;  ///< what could be decided when the statement began
    std::uint64_t decided = 0;   ///< 0 where `matching` is more than what was allowed
    std::int64_t job = 0;        ///< its number; 0: nothing was decided
};
/// Decides about all letters of the selection, `letters_max` at most and kDecisionStep at most, and
/// writes the rows of txstream.jobs and txstream.audit, in one transaction. Where more match,
/// nothing is changed.
Task<Result<DecidedAtOnce>> decide_at_once(
    pg::Connection& connection,
    Decision decision,
    LetterSelection selection,
    std::uint64_t letters_max,
    Signature signature,
    Deadline deadline
);

/// Letters with this id (of any transaction where xid() is 0) or this event_id; two at most.
Task<Result<std::vector<EventRow>>> letters_named(
    pg::Connection& connection, EventSeq seq, std::string event_id, Deadline deadline
);

/// The first letter before this one in the queue of its key that is parked for its own sake.
Task<Result<std::optional<EventRow>>> blocker_of(
    pg::Connection& connection, EventRow letter, Deadline deadline
);

}  // namespace txstream::outbox
