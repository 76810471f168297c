#include "outbox/decision_progress.hpp"

namespace txstream::outbox {

namespace {

// Steps of one decision have its actor, action and target, and the same total in their results; the
// next decision of the same begins with "1 to" again.
//
// Letters have no number of their decision. They are those of its actor that were decided between
// the row before, of the same actor, and the last step's: a transaction writes its row last.
#define TXS_DECISION                                                                          \
    "WITH first AS MATERIALIZED (SELECT *,"                                                   \
    "  substring(result from ' of ([0-9]+)$') AS total,"                                      \
    "  CASE action WHEN 'dead-letters replay' THEN 'replaying' ELSE 'discarded' END AS open," \
    "  CASE action WHEN 'dead-letters replay' THEN 'replayed' ELSE 'discarded' END AS closed" \
    "  FROM txstream.audit WHERE id = $1::bigint"                                             \
    "   AND action IN ('dead-letters replay', 'dead-letters discard')),"                      \
    " alike AS MATERIALIZED (SELECT a.id, a.at, a.affected, a.result"                         \
    "  FROM first f JOIN txstream.audit a ON a.id > f.id AND a.at < f.at + interval '1 hour'" \
    "   AND a.actor = f.actor AND a.action = f.action AND a.target::text = f.target::text"    \
    "   AND a.result LIKE '% to % of ' || f.total ORDER BY a.id LIMIT 200),"                  \
    " steps AS MATERIALIZED (SELECT id, at, affected FROM first"                              \
    "  UNION ALL SELECT id, at, affected FROM alike WHERE id < coalesce("                     \
    "   (SELECT min(id) FROM alike WHERE result LIKE '1 to %'), 9223372036854775807)),"       \
    " span AS MATERIALIZED (SELECT f.*, s.until, coalesce((SELECT a.at FROM txstream.audit a" \
    "   WHERE a.id < f.id AND a.actor = f.actor ORDER BY a.id DESC LIMIT 1), '-infinity')"    \
    "   AS after FROM first f CROSS JOIN (SELECT max(at) AS until FROM steps) s)"
#define TXS_DECIDED_IN_SPAN \
    "d.resolved_by = p.actor AND d.resolved_at > p.after AND d.resolved_at <= p.until"

constexpr pg::Statement kSteps{
    "txs_decision_steps",
    TXS_DECISION R"(
SELECT )" TXS_AUDIT_ENTRY R"(, coalesce(total::bigint, affected),
 (SELECT sum(affected)::bigint FROM steps),
 (SELECT count(*) FROM (SELECT 1 FROM span p JOIN txstream.dead_letters d
   ON d.decided AND d.state = p.open AND )" TXS_DECIDED_IN_SPAN R"( LIMIT $2::bigint) w)
FROM first)",
    pg::Planning::each_time
};
constexpr int kTotal = 10;
constexpr int kDecided = 11;
constexpr int kWaiting = 12;

// Only what the target names with an index narrows it; all else walks over all letters.
constexpr pg::Statement kCarriedOut{
    "txs_decision_carried_out",
    TXS_DECISION R"(
SELECT count(*) FROM (
 SELECT 1 FROM span p JOIN txstream.dead_letters d ON d.error_class = p.target->>'error_class'
  AND d.state = p.closed AND NOT d.decided AND )" TXS_DECIDED_IN_SPAN R"(
 WHERE p.target->>'error_class' IS NOT NULL
 UNION ALL
 SELECT 1 FROM span p JOIN txstream.dead_letters d
  ON d.id = substring(p.target->>'id' from '^[0-9]+')::bigint
  AND d.state = p.closed AND NOT d.decided AND )" TXS_DECIDED_IN_SPAN R"(
 WHERE p.target->>'error_class' IS NULL AND p.target->>'id' IS NOT NULL
 UNION ALL
 SELECT 1 FROM span p JOIN txstream.dead_letters d
  ON d.state = p.closed AND NOT d.decided AND )" TXS_DECIDED_IN_SPAN R"(
 WHERE p.target->>'error_class' IS NULL AND p.target->>'id' IS NULL) c)",
    pg::Planning::each_time
};

/// The server ended a statement that took too long.
bool was_too_long(const Error& error) {
    return error.origin() == "57014";
}

}  // namespace

Task<Result<std::optional<DecisionProgress>>> decision_progress(
    pg::Connection& connection, std::int64_t audit_id, Deadline deadline
) {
    TXS_CO_TRY(
        const auto rows,
        co_await connection.run(kSteps, pg::Params::of(audit_id, kDecisionWaitingMax + 1), deadline)
    );
    std::optional<DecisionProgress> progress;
    if (rows.empty()) co_return progress;
    progress.emplace();
    progress->entry = audit_entry_at(rows, 0);
    progress->total = static_cast<std::uint64_t>(rows.integer(0, kTotal));
    progress->decided = static_cast<std::uint64_t>(rows.integer(0, kDecided));
    progress->waiting = static_cast<std::uint64_t>(rows.integer(0, kWaiting));
    if (progress->waiting > kDecisionWaitingMax) {
        progress->waiting = kDecisionWaitingMax;
        progress->is_waiting_exact = false;
    }
    if (progress->waiting > 0) co_return progress;
    const auto counted = co_await connection.run(kCarriedOut, pg::Params::of(audit_id), deadline);
    if (counted) {
        progress->carried_out = static_cast<std::uint64_t>(counted->integer(0, 0));
    } else if (!was_too_long(counted.error())) {
        co_return tl::unexpected(counted.error());
    }
    co_return progress;
}

}  // namespace txstream::outbox
