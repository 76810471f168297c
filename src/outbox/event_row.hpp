#pragma once

#include "outbox/event_filter.hpp"
#include "pg/rows.hpp"

namespace txstream::outbox {

/// Settings of a session that asks what is in this room for people: event_search, event_detail,
/// event_times, dead_letter_groups. It cannot write; without sequential scans, bitmaps and
/// parallel workers each of its statements walks an index and ends at its limit, whatever the
/// statistics say. How long a statement may take is the pool's to say.
extern const char* const kConsoleSettings;

/// An event in a list.
struct EventRow {
    EventSeq seq;
    std::string event_id;
    LaneId lane;
    EventState state = EventState::pending;
    std::string event_type;
    std::string aggregate_type;
    std::string aggregate_id;
    std::string key;
    std::string topic;  ///< its own; empty: the default one
    Time created_at;
    /// Empty too where its publication is too far away among others, or no longer kept.
    std::optional<Time> published_at;
    std::int64_t attempts = 0;
    std::string error_class;  ///< empty: none
    std::string error;        ///< its beginning
    std::int64_t size = 0;
};

/// Reads what TXS_EVENT_ROW selects.
EventRow event_row_at(const pg::Rows& rows, std::size_t row);

/// As a timestamptz is written; a time outside of the years 1 to 9999 becomes the nearest inside.
std::string timestamptz_text(Time time);

}  // namespace txstream::outbox

// SQL that makes an EventRow of `o` (a row of the outbox), `l` (its lane) and `d` (its dead letter,
// or nulls). As the view txstream.events tells it, but with bounds: the view looks for the
// publication as far as it has to.
//
// A publication far behind many others is that of a transaction that was open for long: there can
// be hours of publications between its ids.
#define TXS_EVENT_STATE(dead_state)                                         \
    "coalesce(" dead_state                                                  \
    ", CASE WHEN pg_visible_in_snapshot(o.xid, l.cursor)"                   \
    " OR (l.target IS NOT NULL AND pg_visible_in_snapshot(o.xid, l.target)" \
    "  AND (o.id, o.xid) <= (l.last_id, l.last_xid)) THEN 'published' ELSE 'pending' END)"
#define TXS_EVENT_PUBLICATION(columns, rows_max)                                      \
    "(SELECT " columns                                                                \
    " FROM (SELECT * FROM txstream.positions WHERE events > 0 AND last_event >= o.id" \
    "  ORDER BY last_event LIMIT " rows_max                                           \
    ") p WHERE p.first_event <= o.id"                                                 \
    " AND txstream.acknowledged_with(p, o.lane, o.id, o.xid) LIMIT 1)"
#define TXS_EVENT_ROW                                                                        \
    "o.id, o.xid, o.event_id, o.lane, " TXS_EVENT_STATE("d.state"                            \
    ) " AS state, o.event_type, o.aggregate_type, o.aggregate_id,"                           \
      " coalesce(o.key, o.aggregate_id), coalesce(o.topic, ''), o.created_at,"               \
      " CASE WHEN " TXS_EVENT_STATE("d.state") " = 'published' THEN " TXS_EVENT_PUBLICATION( \
          "p.written_at", "500"                                                              \
      ) " END, coalesce(d.attempts, 0), coalesce(d.error_class, ''),"                        \
        " left(coalesce(d.error, ''), 300), o.size"
#define TXS_EVENT_JOINS                                                                    \
    " JOIN txstream.lane_positions l ON l.lane = o.lane LEFT JOIN txstream.dead_letters d" \
    " ON d.id = o.id AND d.xid = o.xid AND d.event_id = o.event_id"

// The same of `d` alone: retention may have dropped the row of the outbox. The size is that of what
// is kept; an event that was too large is kept without its content.
#define TXS_DEAD_LETTER_SIZE                                                                      \
    "octet_length(d.aggregate_id)::bigint + octet_length(d.key)"                                  \
    " + coalesce(octet_length(d.headers::text), 0) + coalesce(octet_length(d.metadata::text), 0)" \
    " + coalesce(octet_length(d.payload::text), octet_length(d.payload_bytes), 0)"
#define TXS_DEAD_LETTER_ROW                                                                      \
    "d.id, d.xid, d.event_id, d.lane, d.state, d.event_type, d.aggregate_type, d.aggregate_id,"  \
    " d.key, coalesce(d.topic, ''), d.created_at, NULL::timestamptz, d.attempts, d.error_class," \
    " left(d.error, 300), " TXS_DEAD_LETTER_SIZE
