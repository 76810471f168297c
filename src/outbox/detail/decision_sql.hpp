#pragma once

#include "outbox/dead_letter_decisions.hpp"
#include "pg/params.hpp"

// Which letters a decision is about: SQL that a decision at once and the steps of a job share.

// The queue of a key: the index dead_letters_of_key has its letters in their order.
#define TXS_OF_KEY(lane, key)                                                  \
    "d.lane = " lane " AND hashtextextended(d.key, 0) = hashtextextended(" key \
    ", 0)"                                                                     \
    " AND d.key = " key

// $1, $2 id and transaction, $3 key, $4 error class, $5 event type, $6 topic; NULL: any. Planned
// for its values, so that what is not asked for costs nothing and the index of what is asked for
// counts.
#define TXS_FITS                                                       \
    "($1::bigint IS NULL OR (d.id = $1::bigint AND d.xid = $2::xid8))" \
    " AND ($3::text IS NULL OR (" TXS_OF_KEY(                          \
        "txstream.lane_of($3::text)", "$3::text"                       \
    ) "))"                                                             \
      " AND ($4::text IS NULL OR d.error_class = $4::text)"            \
      " AND ($5::text IS NULL OR d.event_type = $5::text)"             \
      " AND ($6::text IS NULL OR coalesce(d.topic, '') = $6::text)"

// $7 held letters too, $8 what stands behind an obstacle is left out, $9 letters at most.
//
// `hits` counts the matching letters of each key; of each key's first one the obstacle is looked
// for: the first letter parked for its own sake that does not match. Letters that do not hold their
// key have no obstacle and are none: they count as a key of their own. One walk of each key's
// queue, however many letters match. The obstacle comes to the key's other letters by a window and
// not by a join: without statistics, as after a burst, a join of so many letters is planned as a
// loop in a loop.
#define TXS_CHOSEN(fits)                                                                         \
    "hits AS MATERIALIZED (SELECT f.*,"                                                          \
    "   row_number() OVER (PARTITION BY f.lane, f.key, f.holds ORDER BY f.id, f.xid) AS place"   \
    "  FROM (SELECT d.id, d.xid, d.event_id, d.lane, d.key, d.holds"                             \
    "    FROM txstream.dead_letters d WHERE d.state = 'parked'"                                  \
    "     AND ($7::boolean OR d.error_class <> 'held') AND " fits                                \
    "    ORDER BY d.id, d.xid LIMIT $9::bigint) f),"                                             \
    " stopped AS MATERIALIZED (SELECT h.id, h.xid, h.event_id, h.lane, h.key, h.holds, h.place," \
    "   first_value(s.id) OVER w AS stop_id, first_value(s.xid) OVER w AS stop_xid"              \
    "  FROM hits h LEFT JOIN LATERAL (SELECT d.id, d.xid FROM txstream.dead_letters d"           \
    "    WHERE h.place = 1 AND h.holds AND " TXS_OF_KEY(                                         \
        "h.lane", "h.key"                                                                        \
    ) " AND d.holds AND d.state = 'parked'"                                                      \
      "     AND d.error_class <> 'held' AND NOT (" fits                                          \
      ")"                                                                                        \
      "    ORDER BY d.id, d.xid LIMIT 1) s ON true"                                              \
      "  WINDOW w AS (PARTITION BY h.lane, h.key, h.holds ORDER BY h.place)),"                   \
      " chosen AS MATERIALIZED (SELECT * FROM stopped"                                           \
      "  WHERE NOT $8::boolean OR stop_id IS NULL OR (id, xid) < (stop_id, stop_xid))"

// Letters of `c` that nobody else has decided about: whoever locks a letter first wins, and the
// numbers are of what is really changed.
//
// The state is compared so that no partial index of it can be used: in a table that was empty at
// its last ANALYZE such an index would be walked through for each letter.
#define TXS_LOCKED(c)                                                              \
    "SELECT d.id, d.xid, d.event_id FROM (" c                                      \
    ") c JOIN txstream.dead_letters d ON d.id = c.id AND d.xid = c.xid"            \
    "  AND d.event_id = c.event_id"                                                \
    " WHERE d.state || '' = 'parked' AND ($7::boolean OR d.error_class <> 'held')" \
    " FOR UPDATE OF d"

// What of a job's letters counts for its progress; the index dead_letters_of_job has no others.
#define TXS_OF_JOB(job) "d.job = " job " AND (d.decided OR d.state IN ('parked', 'replaying'))"

namespace txstream::outbox::detail {

/// $1 to $8.
pg::Params decision_params(Decision decision, const LetterSelection& selection);

/// What a letter becomes.
EventState state_of(Decision decision) noexcept;

/// In the audit.
std::string action_of(Decision decision);

}  // namespace txstream::outbox::detail
